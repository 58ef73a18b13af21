"""The content hash of every file, remembered for as long as its path, size and time stay the same."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agegender.core.files import atomic, cache_dir
from agegender.data.images import UnreadableImage, read_bytes

log = logging.getLogger("agegender")

_CHUNK = 4096

Result = str | UnreadableImage
"""sha256 in hex, or why the file cannot be read."""


def content_hashes(paths: Sequence[str], progress: Callable[[int, int], None]) -> list[Result]:
    """sha256 of every file. A list of files that was hashed before is not read again.

    Files that could not be read are tried again each time.
    """
    cache = _cache_file(paths)
    known = _read(cache, len(paths))
    missing = np.flatnonzero(~known.any(axis=1)).tolist()
    results: list[Result] = [row.tobytes().hex() for row in known]
    fresh = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for start in range(0, len(missing), _CHUNK):
            rows = missing[start : start + _CHUNK]
            for row, result in zip(rows, pool.map(_hash, [paths[row] for row in rows]), strict=True):
                results[row] = result
                if isinstance(result, str):
                    known[row] = np.frombuffer(bytes.fromhex(result), np.uint8)
                    fresh += 1
            progress(start + len(rows), len(missing))
    if fresh:
        _write(cache, known)
    return results


def _hash(path: str) -> Result:
    try:
        return hashlib.sha256(read_bytes(Path(path))).hexdigest()
    except UnreadableImage as error:
        return error


def _cache_file(paths: Sequence[str]) -> Path:
    digest = hashlib.sha256()
    for path in paths:
        try:
            found = os.stat(path)  # noqa: PTH116 - a million Path objects cost ten seconds
            mark = f"{found.st_size} {found.st_mtime_ns}"
        except (OSError, ValueError):
            mark = "absent"
        digest.update(os.fsencode(f"{path}\0{mark}\n"))
    return cache_dir() / "hashes" / f"{digest.hexdigest()}.npy"


def _read(cache: Path, count: int) -> npt.NDArray[np.uint8]:
    """count x 32 bytes; rows of zeros are unknown."""
    try:
        with cache.open("rb") as file:
            known: npt.NDArray[np.uint8] = np.load(file, allow_pickle=False)
        if known.shape == (count, 32) and known.dtype == np.uint8:
            return known
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # absent or damaged: hashed again
        pass
    return np.zeros((count, 32), np.uint8)


def _write(cache: Path, known: npt.NDArray[np.uint8]) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with atomic(cache) as temporary, temporary.open("wb") as file:
            np.save(file, known)
    except OSError as error:
        log.warning("cannot keep content hashes in %s: %s", cache.parent, error.strerror or error)
