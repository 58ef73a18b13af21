"""Which faces must never straddle parts: identical files, and faces of one identity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd


def cluster_ids(sha256: pd.Series[str], identity: pd.Series[str]) -> npt.NDArray[np.int64]:
    """Cluster of each face, numbered 0, 1, ... by first appearance.

    Two faces share a cluster when a chain of equal files or equal identities joins them; a missing
    identity joins nothing.
    """
    count = len(sha256)
    files, _ = pd.factorize(sha256)
    people, _ = pd.factorize(identity)
    people = np.where(people < 0, count + np.arange(count), people)  # a missing one is a person of its own
    labels = np.arange(count)
    while True:  # the lowest row number spreads over files and people until nothing changes
        spread = _lowest_of_group(_lowest_of_group(labels, files), people)
        if np.array_equal(spread, labels):
            break
        labels = spread
    clusters, _ = pd.factorize(labels)
    return clusters.astype(np.int64)


def _lowest_of_group(labels: npt.NDArray[np.intp], group: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    lowest = np.full(group.max(initial=-1) + 1, np.iinfo(np.intp).max)
    np.minimum.at(lowest, group, labels)
    return lowest[group]
