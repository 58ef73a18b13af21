"""Decoded faces on disk, memory-mapped: made once, then shared by runs, whatever their epochs and seeds.

A store holds the faces of one list of contents at one size, resized in one way. It is made beside its place
and moved there when it is whole, so that a killed build leaves no half store; what such a build left is
cleared away by the next one.
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
import PIL

from agegender.core.errors import UserError
from agegender.core.files import cache_dir
from agegender.core.process import is_alive
from agegender.core.types import Interpolation
from agegender.data.images import UnreadableImage
from agegender.data.samples.decode import Unreadable, decode_chunks
from agegender.data.samples.mapped import MappedRows

VERSION = 1
"""Raise it with whatever changes the pixels that decoding gives."""
_CHECKED = 64
"""Faces whose checksum is compared when a store is opened."""
_SPARE = 64 * 2**20
"""Bytes to leave free on the disk."""


def open_store(
    paths: Sequence[str],
    sha256: Sequence[str | None],
    size: int,
    progress: Callable[[int, int], None],
    interpolation: Interpolation = "bilinear",
) -> tuple[MappedRows, Unreadable]:
    """Decoded faces (N, size, size, 3), one a row of `paths`, and the rows that hold no usable image.

    Rows without a hash are left out. Raises UserError where the cache folder has no room, cannot be
    written, or holds a damaged store.
    """
    place = _place(sha256, size, interpolation)
    try:
        if not place.exists():
            _make(place, paths, sha256, size, progress, interpolation)
        return _open(place, len(paths), size)
    except OSError as error:
        raise UserError(
            f"cannot keep decoded faces in {place.parent}: {error.strerror or error}; "
            "AGEGENDER_CACHE names another folder, data.cache=memory keeps them in memory"
        ) from error


def bytes_needed(count: int, size: int) -> int:
    """Size of a store."""
    return count * (3 * size * size + 4)


def _place(sha256: Sequence[str | None], size: int, interpolation: Interpolation) -> Path:
    digest = hashlib.sha256("\n".join(each or "" for each in sha256).encode()).hexdigest()
    kind = f"{size}px" if interpolation == "bilinear" else f"{size}px-{interpolation}"
    return cache_dir() / "samples" / f"v{VERSION}-pillow{PIL.__version__}-{kind}-{digest[:32]}"


def _make(
    place: Path,
    paths: Sequence[str],
    sha256: Sequence[str | None],
    size: int,
    progress: Callable[[int, int], None],
    interpolation: Interpolation = "bilinear",
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
        unreadable = _fill(making, paths, sha256, size, progress, interpolation)
        reasons = {row: [error.reason, error.detail] for row, error in unreadable.items()}
        (making / "unreadable.json").write_text(json.dumps(reasons), encoding="utf-8")
        making.rename(place)
    except OSError:
        if not place.is_dir():  # else another process was faster: its store is as good
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _fill(
    folder: Path,
    paths: Sequence[str],
    sha256: Sequence[str | None],
    size: int,
    progress: Callable[[int, int], None],
    interpolation: Interpolation = "bilinear",
) -> Unreadable:
    """Write images.npy and crc32.npy; rows without a usable image stay black.

    Written, not mapped: a disk that fills up is an OSError then, and a signal that kills the process else.
    """
    unreadable: Unreadable = {}
    bytes_each = 3 * size * size
    sums_N = np.full(len(paths), zlib.crc32(bytes(bytes_each)), np.uint32)
    rows = [row for row, known in enumerate(sha256) if known is not None]
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), size, size, 3)}
    with (folder / "images.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        first = file.tell()
        for images, others in decode_chunks(paths, rows, size, progress, interpolation):
            unreadable |= others
            for row, image_HWC in images.items():
                file.seek(first + row * bytes_each)
                file.write(image_HWC.data)
                sums_N[row] = zlib.crc32(image_HWC.data)
        file.truncate(first + len(paths) * bytes_each)
        file.flush()
        os.fsync(file.fileno())
    np.save(folder / "crc32.npy", sums_N)
    return unreadable


def _open(place: Path, count: int, size: int) -> tuple[MappedRows, Unreadable]:
    try:
        images_NHWC = MappedRows(place / "images.npy", (count, size, size, 3), np.uint8)
        sums_N = MappedRows(place / "crc32.npy", (count,), np.uint32)
        reasons = json.loads((place / "unreadable.json").read_text(encoding="utf-8"))
        unreadable = {int(row): UnreadableImage(*why) for row, why in reasons.items()}
        rows = np.unique(np.linspace(0, count - 1, min(_CHECKED, count)).astype(int))
        if [zlib.crc32(image_HWC) for image_HWC in images_NHWC[rows]] != sums_N[rows].tolist():
            raise ValueError("other pixels than were written")
    except (ValueError, TypeError, AttributeError, FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"the decoded faces in {place} are damaged: delete that folder to have them made anew"
        ) from error
    return images_NHWC, unreadable


def _clear_leftovers(folder: Path) -> None:
    """Delete what builds left that were killed."""
    for path in folder.glob("*.tmp"):
        number = path.name.split(".")[-2]
        if number.isdigit() and not is_alive(int(number)):
            shutil.rmtree(path, ignore_errors=True)
