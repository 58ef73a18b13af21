"""Figures that are a sum over faces divided by another, a mean first of all, with their resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from agegender.evaluation.bootstrap import Floats, cluster_sums, resampled


@dataclass(frozen=True)
class Ratio:
    """K figures: what each face adds to the sum above and to the one below."""

    above_NK: Floats
    below_NK: Floats
    """(N, 1) where the K figures share it."""

    @classmethod
    def mean(cls, values_N: Floats) -> Self:
        """The mean of those that are known (not NaN)."""
        is_known_N1 = ~np.isnan(values_N)[:, None]
        return cls(np.where(is_known_N1, values_N[:, None], 0.0), is_known_N1.astype(np.float64))


@dataclass(frozen=True)
class Estimate:
    """K figures, NaN where no face has one, and each of R resamples of them (R is 0 without a bootstrap)."""

    value_K: Floats
    drawn_RK: Floats


def estimate(
    ratios: Mapping[str, Ratio], clusters_N: npt.NDArray[np.intp], bootstrap: int, seed: int = 0
) -> dict[str, Estimate]:
    """All ratios on the faces and on the same resamples of their clusters: one matrix product."""
    if not ratios:
        return {}
    sums_NS = np.concatenate([part for r in ratios.values() for part in (r.above_NK, r.below_NK)], axis=1)
    all_1S = sums_NS.sum(axis=0, keepdims=True)
    drawn_RS = all_1S[:0]
    if bootstrap and len(clusters_N):
        drawn_RS = np.concatenate(list(resampled(cluster_sums(sums_NS, clusters_N), bootstrap, seed)))
    found, start = {}, 0
    for name, ratio in ratios.items():
        middle = start + ratio.above_NK.shape[1]
        end = middle + ratio.below_NK.shape[1]
        value_1K, drawn_RK = (
            sums[:, start:middle] / np.where(sums[:, middle:end] > 0, sums[:, middle:end], np.nan)
            for sums in (all_1S, drawn_RS)
        )
        found[name] = Estimate(value_1K[0], drawn_RK)
        start = end
    return found
