"""Percentile bootstrap over clusters of faces: what stays together in a split is drawn together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

_CHUNK = 4_000_000
"""Resampled counts in memory at once."""


def clusters_of(table: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Cluster numbers 0..C-1, (N,); a row whose cluster is unknown is a cluster of its own."""
    if "cluster" not in table:
        return np.arange(len(table))
    numbers, names = pd.factorize(table["cluster"])
    alone = numbers < 0
    numbers[alone] = len(names) + np.arange(alone.sum())
    return numbers


def cluster_sums(sums_NS: Floats, clusters: npt.NDArray[np.intp]) -> Floats:
    """The faces' sums added up in their clusters, (C, S)."""
    sums_CS = np.zeros((int(clusters.max()) + 1, sums_NS.shape[1]))
    np.add.at(sums_CS, clusters, sums_NS)
    return sums_CS


def bounds(values_R: Floats) -> tuple[float, float] | tuple[None, None]:
    """The 95 % percentile interval of those resamples that have the figure."""
    known = values_R[~np.isnan(values_R)]
    if not len(known):
        return None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def resampled_weights(count: int, bootstrap: int, seed: int) -> Iterator[Floats]:
    """How often each of `count` clusters is drawn in each resample, (chunk, count) at a time."""
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // count)
    for start in range(0, bootstrap, chunk):
        size = min(chunk, bootstrap - start)
        drawn = generator.integers(0, count, (size, count))
        yield np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(np.float64)


def resampled(sums_CS: Floats, bootstrap: int, seed: int) -> Iterator[Floats]:
    """Sums of resampled clusters, (chunk, S) at a time."""
    for weights_RC in resampled_weights(len(sums_CS), bootstrap, seed):
        yield weights_RC @ sums_CS


def face_weights(weights_RC: Floats, clusters_N: npt.NDArray[np.intp]) -> Iterator[Floats]:
    """What the weights of the clusters make each face count, (chunk, N) at a time."""
    chunk = max(1, _CHUNK // len(clusters_N))
    for start in range(0, len(weights_RC), chunk):
        yield np.take(weights_RC[start : start + chunk], clusters_N, axis=1)
