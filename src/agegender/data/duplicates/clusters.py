"""Which faces must never straddle parts: files of one photo, and faces of one identity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from agegender.data.duplicates.near import near_pairs

Ints = npt.NDArray[np.int64]
Links = tuple[Ints, Ints]

NEAR_DUPLICATES = 0.9
"""Correlation from which two files show one photo, where no split says otherwise."""


def add_clusters(
    faces: pd.DataFrame, near: float | None, progress: Callable[[int, int], None] | None = None
) -> None:
    """Add `photo` (int; files of one photo share it) and `cluster` (int; faces of one identity, too).

    `near` is the correlation from which two files show one photo; None: only identical files do. Both
    columns are numbered 0, 1, ... by first appearance and follow chains: a copy of a copy is a copy.
    """
    links = [same_value(faces["sha256"])]
    if near is not None:
        pairs = near_pairs(faces["path"].tolist(), faces["sha256"], progress).from_correlation(near)
        links.append((pairs.first, pairs.second))
    faces["photo"] = components(len(faces), links)
    faces["cluster"] = components(len(faces), [*links, same_value(faces["identity"])])


def components(count: int, links: list[Links]) -> Ints:
    """Number of the connected component of each of `count` rows, by first appearance."""
    first, second = (np.concatenate(ends) for ends in zip(*links, strict=True))
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    numbers: Ints = pd.factorize(labels)[0].astype(np.int64)
    return numbers


def same_value(values: pd.Series[str]) -> Links:
    """Links from each row to the next one of equal value; a missing value links nothing."""
    rows = np.flatnonzero(values.notna())
    codes, _ = pd.factorize(values.to_numpy()[rows])
    order = np.argsort(codes, kind="stable")
    equal = codes[order][1:] == codes[order][:-1]
    return rows[order[:-1][equal]], rows[order[1:][equal]]
