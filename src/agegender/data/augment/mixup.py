"""Mixup that is right for a regression target: C-Mixup (Yao et al., NeurIPS 2022).

A face is mixed with one of a similar age, and its labels with the weight of its pixels: the age in years
and P(female). The paper draws the partner among all faces with a probability that falls with the distance
in age as a Gaussian. Here the *age* of the partner is drawn from that Gaussian, cut at the youngest and at
the oldest face, and then any face of the nearest age that occurs. So how many faces an age has does not
count: the partner of a rare age is as often older as younger, where the paper's leans to the common ages.
It costs a sort and a search, O(N log N), in place of N x N distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from agegender.config.schema import AugmentOptions
from agegender.core.seeding import stream

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Mixing:
    """For every sample its partner and the weight that it keeps itself; 1 where it is not mixed."""

    partner_N: Rows
    weight_N: npt.NDArray[np.float32]


def draw_mixing(
    seed: int, epoch: int, age_N: npt.NDArray[np.float32], pool: Rows, options: AugmentOptions
) -> Mixing:
    """Partners for the rows of `pool`, which have both labels; each follows from (seed, epoch, sample)."""
    samples = len(age_N)
    partner_N, weight_N = np.arange(samples), np.ones(samples, np.float32)
    is_mixed_N = stream(seed, "mixup", epoch).random(samples) < options.mixup
    mixed = pool[is_mixed_N[pool]]
    if len(mixed):
        beta = stream(seed, "mixup weight", epoch).beta(options.mixup_alpha, options.mixup_alpha, samples)
        draws_N2 = stream(seed, "mixup partner", epoch).random((samples, 2))
        weight_N[mixed] = beta[mixed]
        near = _Ages(age_N, pool)
        partner_N[mixed] = near.draw(age_N[mixed], options.mixup_bandwidth, draws_N2[mixed])
    return Mixing(partner_N, weight_N)


class _Ages:
    """The faces of a pool by their age."""

    def __init__(self, age_N: npt.NDArray[np.float32], pool: Rows) -> None:
        pool = np.sort(pool)  # the same partners in whatever order the pool comes
        self._by_age = pool[np.argsort(age_N[pool], kind="stable")]
        ages, self._first, self._count = np.unique(
            age_N[self._by_age].astype(np.float64), return_index=True, return_counts=True
        )
        self._youngest, self._oldest = ages[0], ages[-1]
        self._borders = (ages[1:] + ages[:-1]) / 2

    def draw(self, age_M: npt.NDArray[np.float32], bandwidth: float, draws_M2: Floats) -> Rows:
        """A face near each of these ages: its age by a Gaussian of that many years, then any of that age."""
        centre_M = age_M.astype(np.float64)
        low_M, high_M = (ndtr((end - centre_M) / bandwidth) for end in (self._youngest, self._oldest))
        drawn_M = centre_M + bandwidth * ndtri(low_M + (high_M - low_M) * draws_M2[:, 0])
        place_M = np.searchsorted(self._borders, drawn_M)
        nth_M = (draws_M2[:, 1] * self._count[place_M]).astype(np.intp)
        nearest_M: Rows = self._by_age[self._first[place_M] + nth_M]
        return nearest_M
