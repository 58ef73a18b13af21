"""Decoded faces on disk, memory-mapped: made once, then shared by runs, whatever their epochs and seeds.

A store holds the faces of one list of contents at one size. It is made beside its place and moved there
when it is whole, so that a killed build leaves no half store; what such a build left is cleared away by
the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL

from agegender.core.errors import UserError
from agegender.core.files import cache_dir
from agegender.core.process import is_alive
from agegender.data.images import UnreadableImage
from agegender.data.samples.decode import Unreadable, decode_into

VERSION = 1
"""Raise it with whatever changes the pixels that decoding gives."""
_CHECKED = 64
"""Faces whose checksum is compared when a store is opened."""
_SPARE = 64 * 2**20
"""Bytes to leave free on the disk."""

Images = npt.NDArray[np.uint8]


def open_store(
    paths: Sequence[str],
    sha256: Sequence[str | None],
    size: int,
    progress: Callable[[int, int], None],
) -> tuple[Images, Unreadable]:
    """Decoded faces (N, size, size, 3), one a row of `paths`, and the rows that hold no usable image.

    Rows without a hash are left out. Raises UserError where the cache folder has no room, cannot be
    written, or holds a damaged store.
    """
    place = _place(sha256, size)
    try:
        if not place.is_dir():
            _make(place, paths, sha256, size, progress)
        return _open(place, len(paths), size)
    except OSError as error:
        raise UserError(
            f"cannot keep decoded faces in {place.parent}: {error.strerror or error}; "
            "AGEGENDER_CACHE names another folder, data.cache=memory keeps them in memory"
        ) from error


def bytes_needed(count: int, size: int) -> int:
    """Size of a store."""
    return count * (3 * size * size + 4)


def _place(sha256: Sequence[str | None], size: int) -> Path:
    digest = hashlib.sha256("\n".join(each or "" for each in sha256).encode()).hexdigest()
    return cache_dir() / "samples" / f"v{VERSION}-pillow{PIL.__version__}-{size}px-{digest[:32]}"


def _make(
    place: Path,
    paths: Sequence[str],
    sha256: Sequence[str | None],
    size: int,
    progress: Callable[[int, int], None],
) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(place.parent)
    need, free = bytes_needed(len(paths), size), shutil.disk_usage(place.parent).free
    if need + _SPARE > free:
        raise UserError(
            f"{len(paths):,} faces at {size} px need {need / 2**30:.1f} GiB in {place.parent}, which has "
            f"{free / 2**30:.1f} GiB left; AGEGENDER_CACHE names another folder, data.cache=memory or none "
            "needs no disk"
        )
    making = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    try:
        shape = (len(paths), size, size, 3)
        images_NHWC = np.lib.format.open_memmap(making / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        rows = [row for row, known in enumerate(sha256) if known is not None]
        unreadable = decode_into(images_NHWC, paths, rows, progress)
        images_NHWC.flush()
        sums = np.fromiter((zlib.crc32(image) for image in images_NHWC), dtype=np.uint32, count=len(paths))
        np.save(making / "crc32.npy", sums)
        reasons = {row: [error.reason, error.detail] for row, error in unreadable.items()}
        (making / "unreadable.json").write_text(json.dumps(reasons), encoding="utf-8")
        making.rename(place)
    except OSError:
        if not place.is_dir():  # else another process was faster: its store is as good
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _open(place: Path, count: int, size: int) -> tuple[Images, Unreadable]:
    try:
        images_NHWC: Images = np.load(place / "images.npy", mmap_mode="r", allow_pickle=False)
        sums = np.load(place / "crc32.npy", allow_pickle=False)
        reasons = json.loads((place / "unreadable.json").read_text(encoding="utf-8"))
        is_whole = images_NHWC.shape == (count, size, size, 3) and sums.shape == (count,)
    except (ValueError, EOFError, FileNotFoundError):
        is_whole = False
    if is_whole:
        rows = np.unique(np.linspace(0, count - 1, min(_CHECKED, count)).astype(int))
        is_whole = all(zlib.crc32(images_NHWC[row]) == sums[row] for row in rows)
    if not is_whole:
        raise UserError(
            f"the decoded faces in {place} are damaged: delete that folder to have them made anew"
        )
    return images_NHWC, {int(row): UnreadableImage(*why) for row, why in reasons.items()}


def _clear_leftovers(folder: Path) -> None:
    """Delete what builds left that were killed."""
    for path in folder.glob("*.tmp"):
        number = path.name.split(".")[-2]
        if number.isdigit() and not is_alive(int(number)):
            shutil.rmtree(path, ignore_errors=True)
