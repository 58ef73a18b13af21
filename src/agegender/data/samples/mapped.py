"""An array in a file of which some rows at a time are copied into memory."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class MappedRows:
    """Rows of a .npy file. What is asked for is fetched from the disk at once, and nothing around it.

    Left to itself, the kernel reads up to some megabytes around each face that it lacks, one after the
    other; faces are asked for in random order, and a file may be larger than the memory.
    """

    def __init__(self, file: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Raises ValueError where the file is no such array."""
        self._array: np.memmap[Any, Any] = np.lib.format.open_memmap(file, mode="r")
        if self._array.shape != shape or self._array.dtype != dtype:
            raise ValueError(f"holds {self._array.dtype} {self._array.shape}")
        base = self._array.base
        self._map = base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED") else None
        if self._map is not None:
            self._map.madvise(mmap.MADV_RANDOM)

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        if self._map is not None:
            bytes_each = self._array[:1].nbytes
            for row in rows.tolist():
                first = self._array.offset + row * bytes_each
                page = first - first % mmap.PAGESIZE
                self._map.madvise(mmap.MADV_WILLNEED, page, first + bytes_each - page)
        return np.asarray(self._array[rows])
