"""Every face once: its content hash, and its pixels on disk, in memory, or decoded anew at each use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.errors import RunError, UserError
from agegender.core.types import Interpolation
from agegender.data.images import UnreadableImage, read_face
from agegender.data.manifest import join_rejected, rejected_rows
from agegender.data.samples.decode import Pixels, Unreadable, decode_chunks
from agegender.data.samples.hashes import content_hashes
from agegender.data.samples.mapped import MappedRows
from agegender.data.samples.store import open_store

Progress = Callable[[str, int, int], None]
"""Called with (what is done, faces done, faces in all)."""
Rows = npt.NDArray[np.intp]


class Samples:
    """uint8 RGB images (N, size, size, 3) of which `samples[rows]` copies some into memory."""

    def __init__(self, source: Pixels | MappedRows | Files, rows: Rows) -> None:
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Rows) -> Pixels:
        return self._source[self._rows[rows]]

    def keep(self, rows: Rows | npt.NDArray[np.bool_]) -> Samples:
        """The chosen ones alone, without copying any."""
        return Samples(self._source, self._rows[rows])


class Files:
    """Images decoded at each use. Raises RunError for a file that cannot be decoded any more."""

    def __init__(self, paths: Sequence[str], size: int, interpolation: Interpolation) -> None:
        self._paths, self._size, self._interpolation = paths, size, interpolation
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count())

    def __getitem__(self, rows: Rows) -> Pixels:
        images = list(self._pool.map(self._read, rows.tolist()))
        return np.stack(images) if images else np.empty((0, self._size, self._size, 3), np.uint8)

    def _read(self, row: int) -> Pixels:
        try:
            return read_face(Path(self._paths[row]), self._size, self._interpolation)
        except UnreadableImage as error:
            raise RunError(f"{self._paths[row]}: {error} (it could be read when the run began)") from error


@dataclass(frozen=True)
class Loaded:
    """The faces that can be used, their images, and what was rejected."""

    faces: pd.DataFrame
    """The readable rows with `sha256` of each file; row i is sample i."""
    samples: Samples
    rejected: pd.DataFrame


def load_samples(
    faces: pd.DataFrame,
    size: int,
    cache: str,
    progress: Progress,
    interpolation: Interpolation = "bilinear",
) -> Loaded:
    """Hash and decode the files of all rows; `cache` is disk, memory or none (see conf/data).

    Raises UserError when the images fit neither the memory nor the disk that they are meant for.
    """
    paths = faces["path"].tolist()
    results = content_hashes(paths, partial(progress, "reading files"))
    unreadable = {row: result for row, result in enumerate(results) if isinstance(result, UnreadableImage)}
    sha256 = [result if isinstance(result, str) else None for result in results]
    rows = [row for row, known in enumerate(sha256) if known is not None]
    decoding = partial(progress, "decoding faces")
    source: Pixels | MappedRows | Files
    if cache == "disk":
        source, broken = open_store(paths, sha256, size, decoding, interpolation)
    else:
        source = _allocate(len(paths), size) if cache == "memory" else Files(paths, size, interpolation)
        broken = {}
        for images, others in decode_chunks(paths, rows, size, decoding, interpolation):
            broken |= others
            if isinstance(source, np.ndarray):
                for row, image_HWC in images.items():
                    source[row] = image_HWC
    unreadable |= broken
    kept = np.array([row for row in rows if row not in broken], dtype=np.intp)
    readable = faces.iloc[kept].reset_index(drop=True)
    readable["sha256"] = pd.Series([sha256[row] for row in kept], dtype=object)
    return Loaded(readable, Samples(source, kept), _rejected(faces, unreadable))


def _allocate(total: int, size: int) -> Pixels:
    try:
        return np.empty((total, size, size, 3), dtype=np.uint8)
    except MemoryError:
        need = total * size * size * 3 / 2**30
        raise UserError(
            f"{total} faces at {size} px need {need:.0f} GiB of memory: lower data.image_size or data.limit, "
            "or keep them elsewhere (data.cache=disk or none)"
        ) from None


def _rejected(faces: pd.DataFrame, unreadable: Unreadable) -> pd.DataFrame:
    if not unreadable:
        return join_rejected([])
    ordered = dict(sorted(unreadable.items()))
    table = rejected_rows(faces.iloc[list(ordered)], "")
    table["reason"] = pd.Series([error.reason for error in ordered.values()], dtype=object)
    table["detail"] = pd.Series([error.detail for error in ordered.values()], dtype=object)
    return table
