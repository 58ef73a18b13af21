"""Selective prediction: the risk on the faces that a network is surest of, and how far sureness sorts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from agegender.evaluation.bootstrap import Floats, resampled_weights
from agegender.evaluation.ratios import Estimate

_SLAB = 200_000
"""Weights that are worked on at once: few enough for the processor's cache."""


@dataclass(frozen=True)
class Ranking:
    """M of N faces, those of known risk, from the surest on."""

    order_M: npt.NDArray[np.intp]
    """Their places in the table."""
    risk_M: Floats
    last_M: npt.NDArray[np.intp]
    """Place in this order of the last face that is as sure: such faces are answered together or not."""

    @classmethod
    def of(cls, unsureness_N: Floats, risk_N: Floats) -> Self:
        known = np.flatnonzero(~np.isnan(risk_N) & ~np.isnan(unsureness_N))
        order_M = known[np.argsort(unsureness_N[known], kind="stable")]
        ordered_M = unsureness_N[order_M]
        return cls(order_M, risk_N[order_M], np.searchsorted(ordered_M, ordered_M, side="right") - 1)

    def best(self) -> Ranking:
        """The same faces by their risk itself, as nobody knows it beforehand."""
        by_risk = np.argsort(self.risk_M, kind="stable")
        return Ranking(self.order_M[by_risk], self.risk_M[by_risk], np.arange(len(by_risk)))

    def curve(self) -> tuple[Floats, Floats]:
        """Share of the faces that is answered and the mean risk on it, a point a degree of sureness."""
        last = np.unique(self.last_M)
        return (last + 1) / len(self.order_M), self.risk_M.cumsum()[last] / (last + 1)

    def area(self, weights_RC: Floats, clusters_N: npt.NDArray[np.intp]) -> Floats:
        """Area under that curve (R,), of clusters that count as often as the weights say."""
        weights_RM = weights_RC.take(clusters_N[self.order_M], axis=1)
        answered_RM = weights_RM.cumsum(axis=1)
        lost_RM = (weights_RM * self.risk_M).cumsum(axis=1)
        risk_RM = lost_RM / np.maximum(answered_RM, 1)  # nothing is lost where nobody is answered
        if (np.diff(self.last_M) == 0).any():
            risk_RM = risk_RM.take(self.last_M, axis=1)
        with np.errstate(invalid="ignore"):
            area_R: Floats = np.einsum("rm,rm->r", weights_RM, risk_RM) / answered_RM[:, -1]
        return area_R


def areas(
    rankings: Mapping[str, Ranking], clusters_N: npt.NDArray[np.intp], bootstrap: int, seed: int = 0
) -> dict[str, Estimate]:
    """`<name>_aurc`, the area under the risk-coverage curve, and `<name>_aurc_excess` over the best order's.

    Both are in the unit of the risk. Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for
    deep neural classifiers", ICLR 2019.
    """
    if not rankings:
        return {}
    best = {name: ranking.best() for name, ranking in rankings.items()}

    def both(weights_RC: Floats) -> Floats:
        columns = []
        for name, ranking in rankings.items():
            area_R = ranking.area(weights_RC, clusters_N)
            columns += [area_R, area_R - best[name].area(weights_RC, clusters_N)]
        return np.stack(columns, axis=1)

    count = int(clusters_N.max()) + 1
    value_1K = both(np.ones((1, count)))
    drawn = [value_1K[:0]]
    if bootstrap:
        for weights_RC in resampled_weights(count, bootstrap, seed):
            drawn += [both(slab) for slab in np.array_split(weights_RC, -(-weights_RC.size // _SLAB))]
    drawn_RK = np.concatenate(drawn)
    names = [f"{name}_aurc{which}" for name in rankings for which in ("", "_excess")]
    return {name: Estimate(value_1K[0, [i]], drawn_RK[:, [i]]) for i, name in enumerate(names)}
