"""Files to images, a chunk at a time: threads suffice, as Pillow decodes outside Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agegender.core.types import Interpolation
from agegender.data.images import UnreadableImage, read_face

_CHUNK = 512

Pixels = npt.NDArray[np.uint8]
Unreadable = dict[int, UnreadableImage]
"""Row -> why its file is no usable image."""


def decode_chunks(
    paths: Sequence[str],
    rows: Sequence[int],
    size: int,
    progress: Callable[[int, int], None],
    interpolation: Interpolation = "bilinear",
) -> Iterator[tuple[dict[int, Pixels], Unreadable]]:
    """Decode the files of `rows`: images by row, and the rows that have none.

    Takes the memory of a chunk, whatever the number of files.
    """

    def decode(row: int) -> Pixels | UnreadableImage:
        try:
            return read_face(Path(paths[row]), size, interpolation)
        except UnreadableImage as error:
            return error

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for start in range(0, len(rows), _CHUNK):  # a window: a million tasks would fill the queue
            chunk = rows[start : start + _CHUNK]
            images: dict[int, Pixels] = {}
            unreadable: Unreadable = {}
            for row, result in zip(chunk, pool.map(decode, chunk), strict=True):
                if isinstance(result, UnreadableImage):
                    unreadable[row] = result
                else:
                    images[row] = result
            yield images, unreadable
            progress(start + len(chunk), len(rows))
