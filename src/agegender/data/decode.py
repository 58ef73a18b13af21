"""Every face decoded once into one array: threads suffice, as Pillow decodes outside Python's lock."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.errors import UserError
from agegender.data.images import UnreadableImage, decode_face, read_bytes
from agegender.data.manifest import join_rejected, rejected_rows

_CHUNK = 512


@dataclass(frozen=True)
class Decoded:
    """Images in memory, and what could not be decoded."""

    faces: pd.DataFrame
    """The readable rows with `sha256` of each file; row i is image i."""
    images_NHWC: npt.NDArray[np.uint8]
    rejected: pd.DataFrame


def decode_all(faces: pd.DataFrame, size: int, progress: Callable[[int, int], None] | None = None) -> Decoded:
    """Decode the files of all rows to `size` x `size` pixels; needs little memory beside the result.

    Raises UserError when the array does not fit into memory.
    """
    total = len(faces)
    images_NHWC = _allocate(total, size)
    paths = faces["path"].tolist()

    def decode(row: int) -> str | UnreadableImage:
        try:
            data = read_bytes(Path(paths[row]))
            images_NHWC[row] = decode_face(data, size)
        except UnreadableImage as error:
            return error
        return hashlib.sha256(data).hexdigest()

    results: list[str | UnreadableImage] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for start in range(0, total, _CHUNK):  # a window, or a million tasks would wait in the pool's queue
            results += pool.map(decode, range(start, min(start + _CHUNK, total)))
            if progress is not None:
                progress(len(results), total)

    kept = [row for row, result in enumerate(results) if isinstance(result, str)]
    readable = faces.iloc[kept].reset_index(drop=True)
    readable["sha256"] = pd.Series([results[row] for row in kept], dtype=object)
    return Decoded(readable, compact(images_NHWC, kept), _rejected(faces, results))


def compact(images_NHWC: npt.NDArray[np.uint8], kept: Iterable[int]) -> npt.NDArray[np.uint8]:
    """The images of the rows `kept` (rising), moved together in place: a copy would double the memory."""
    position = 0
    for row in kept:
        if position != row:
            images_NHWC[position] = images_NHWC[row]
        position += 1
    return images_NHWC[:position]


def _allocate(total: int, size: int) -> npt.NDArray[np.uint8]:
    try:
        return np.empty((total, size, size, 3), dtype=np.uint8)
    except MemoryError:
        need = total * size * size * 3 / 2**30
        raise UserError(
            f"{total} faces at {size} px need {need:.0f} GiB of memory: lower data.image_size or data.limit"
        ) from None


def _rejected(faces: pd.DataFrame, results: list[str | UnreadableImage]) -> pd.DataFrame:
    errors = {row: result for row, result in enumerate(results) if isinstance(result, UnreadableImage)}
    if not errors:
        return join_rejected([])
    rows = faces.iloc[list(errors)]
    table = rejected_rows(rows, "")
    table["reason"] = pd.Series([error.reason for error in errors.values()], dtype=object)
    table["detail"] = pd.Series([error.detail for error in errors.values()], dtype=object)
    return table
