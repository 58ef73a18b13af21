"""Files to rows of one array: threads suffice, as Pillow decodes outside Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agegender.data.images import UnreadableImage, read_face

_CHUNK = 512

Unreadable = dict[int, UnreadableImage]
"""Row -> why its file is no usable image."""


def decode_into(
    images_NHWC: npt.NDArray[np.uint8],
    paths: Sequence[str],
    rows: Sequence[int],
    progress: Callable[[int, int], None],
) -> Unreadable:
    """Decode the files of `rows` into the same rows of the array; needs little memory beside it."""
    size = images_NHWC.shape[1]

    def decode(row: int) -> UnreadableImage | None:
        try:
            images_NHWC[row] = read_face(Path(paths[row]), size)
        except UnreadableImage as error:
            return error
        return None

    unreadable: Unreadable = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for start in range(0, len(rows), _CHUNK):  # a window: a million tasks would fill the queue
            chunk = rows[start : start + _CHUNK]
            for row, error in zip(chunk, pool.map(decode, chunk), strict=True):
                if error is not None:
                    unreadable[row] = error
            progress(start + len(chunk), len(rows))
    return unreadable
