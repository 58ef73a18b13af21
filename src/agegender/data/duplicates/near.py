"""Pairs of files that show one photo: re-saved, resized, brightened, cropped a little, mirrored."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.files import atomic, cache_dir
from agegender.data.duplicates import fingerprint
from agegender.data.duplicates.neighbours import Neighbours
from agegender.data.images import UnreadableImage, read_face

log = logging.getLogger("agegender")

VERSION = 1
"""Raise it with whatever changes the pairs that are found."""
LOWEST = 0.8
"""Correlation below which pairs are not kept; among aligned faces, strangers reach 0.85."""
_CHUNK = 2**14


@dataclass(frozen=True)
class NearPairs:
    """Pairs of different files that may show one photo, by their correlation."""

    first: npt.NDArray[np.int64]
    """Positions in the list of files; of byte-identical files the earliest. first < second."""
    second: npt.NDArray[np.int64]
    correlation: npt.NDArray[np.float32]
    """LOWEST to 1."""

    def from_correlation(self, threshold: float) -> NearPairs:
        """The pairs of at least this correlation."""
        keep = self.correlation >= threshold
        return NearPairs(self.first[keep], self.second[keep], self.correlation[keep])


def near_pairs(
    paths: Sequence[str], sha256: pd.Series[str], progress: Callable[[int, int], None] | None = None
) -> NearPairs:
    """Near-duplicates among files whose contents have these hashes.

    The result is kept in the cache folder under the set of contents: names and order do not matter, and a
    second call with the same files opens none of them.
    """
    by_content = sha256.reset_index(drop=True).drop_duplicates().sort_values()
    earliest = by_content.index.to_numpy()
    cache = _cache_file(by_content)
    found = _read(cache, len(earliest))
    if found is None:
        found, unread = find([paths[row] for row in earliest], progress)
        if not unread:  # what a lost disk hid today must not be believed tomorrow
            _write(cache, found)
    first, second = earliest[found.first], earliest[found.second]
    order = np.lexsort((np.maximum(first, second), np.minimum(first, second)))
    return NearPairs(
        np.minimum(first, second)[order], np.maximum(first, second)[order], found.correlation[order]
    )


def find(
    paths: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> tuple[NearPairs, list[str]]:
    """`near_pairs` of different files, without the cache, and the files that could not be read for it."""
    greys_NHW, unread = _read_greys(paths, progress)
    return pairs_of(greys_NHW), unread


def pairs_of(greys_NHW: npt.NDArray[np.uint8]) -> NearPairs:
    """Near-duplicates among grey images of fingerprint.SIDE pixels; 1 KB of memory beside each."""
    count = len(greys_NHW)
    chunks = [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]
    hashes_N = np.empty(count, np.uint64)
    units_NF = np.empty((count, len(fingerprint.MIRROR)), np.float32)
    for chunk in chunks:
        plain = fingerprint.frequencies(greys_NHW[chunk])
        hashes_N[chunk], units_NF[chunk] = fingerprint.hashes(plain), fingerprint.unit(plain)
    index = Neighbours(hashes_N)
    best = pd.Series(dtype=np.float32, index=np.empty(0, np.int64))
    for view in fingerprint.VIEWS:
        found = [best]
        for chunk in chunks:
            cropped = fingerprint.frequencies(greys_NHW[chunk], view)
            for queries in (cropped, cropped * fingerprint.MIRROR):
                query, near = index.close_to(fingerprint.hashes(queries), chunk.start)
                correlation = _correlation(fingerprint.unit(queries), query, units_NF, near)
                keep = correlation >= LOWEST
                query, near = query[keep] + chunk.start, near[keep]
                pair = np.minimum(query, near) * count + np.maximum(query, near)
                found.append(pd.Series(correlation[keep], index=pair))
        best = pd.concat(found).groupby(level=0).max()
    first, second = np.divmod(best.index.to_numpy(), max(count, 1))
    return NearPairs(first, second, best.to_numpy().clip(max=1))


def _correlation(
    a_QF: npt.NDArray[np.float32],
    a: npt.NDArray[np.int64],
    b_NF: npt.NDArray[np.float32],
    b: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """Products of the rows `a` of one and `b` of the other."""
    parts = [
        np.einsum("pf,pf->p", a_QF[a[start : start + _CHUNK]], b_NF[b[start : start + _CHUNK]])
        for start in range(0, len(a), _CHUNK)
    ]
    return np.concatenate([np.empty(0, np.float32), *parts])


def _read_greys(
    paths: Sequence[str], progress: Callable[[int, int], None] | None
) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """One image a path; that of a file which cannot be read is flat, and flat images match nothing."""
    side = fingerprint.SIDE
    greys_NHW = np.zeros((len(paths), side, side), dtype=np.uint8)
    unread: list[str] = []

    def read(row: int) -> None:
        try:
            greys_NHW[row] = fingerprint.to_grey(read_face(Path(paths[row]), side))
        except UnreadableImage:  # gone since it was hashed
            unread.append(paths[row])

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for start in range(0, len(paths), _CHUNK // 16):
            rows = range(start, min(start + _CHUNK // 16, len(paths)))
            list(pool.map(read, rows))
            if progress is not None:
                progress(rows.stop, len(paths))
    if unread:
        log.warning("%d files could not be read again to look for copies, e.g. %s", len(unread), unread[0])
    return greys_NHW, unread


def _cache_file(by_content: pd.Series[str]) -> Path:
    digest = hashlib.sha256("\n".join(by_content).encode()).hexdigest()
    return cache_dir() / "duplicates" / f"v{VERSION}-{digest}.npz"


def _read(cache: Path, count: int) -> NearPairs | None:
    """The pairs among `count` files that were found before; None where they are absent or damaged."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = NearPairs(stored["first"], stored["second"], stored["correlation"])
            is_sound = (found.first >= 0) & (found.first < found.second) & (found.second < count)
            return found if is_sound.all() and found.correlation.shape == found.first.shape else None
    except Exception:  # a damaged zip file raises nearly anything
        return None


def _write(cache: Path, found: NearPairs) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with atomic(cache) as temporary, temporary.open("wb") as file:
            np.savez(file, first=found.first, second=found.second, correlation=found.correlation)
    except OSError as error:
        log.warning("cannot keep the near-duplicates in %s: %s", cache.parent, error.strerror or error)
