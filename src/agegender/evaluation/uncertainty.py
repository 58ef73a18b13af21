"""Figures of how far a network's uncertainty can be trusted.

Pure functions of a predictions table and the `Evidence` that stands beside it; all JSON-safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from agegender.data.manifest import age_interval
from agegender.evaluation.age_figures import age_error
from agegender.evaluation.bootstrap import Floats, bounds, clusters_of
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.coverage import coverage_by, covered, covered_whole, width
from agegender.evaluation.posterior import Posterior, read_posterior
from agegender.evaluation.predictive import NormalAges, PosteriorAges, Predictive
from agegender.evaluation.ratios import Estimate, Ratio, estimate
from agegender.evaluation.reliability import GenderConfidence, calibration_error, reflected
from agegender.evaluation.selective import Ranking, areas

_QUANTILES = np.linspace(0.05, 0.95, 19)
_POINTS = 200
"""Of a risk-coverage curve."""


@dataclass(frozen=True)
class Evidence:
    """What stands beside a predictions table."""

    calibration: Calibration | None = None
    posterior: Posterior | None = None
    """Its rows are numbered by the index of the table."""
    level: float | None = None
    """Of age_low to age_high."""

    @classmethod
    def read(cls, run_dir: Path, table: pd.DataFrame, level: float | None) -> Self:
        """Of a run directory with this predictions.csv; `level` counts where there is no calibration.

        Raises UserError that names a damaged file.
        """
        calibration = Calibration.read(run_dir)
        posterior = read_posterior(table["id"].tolist(), run_dir / "posterior.npz")
        return cls(calibration, posterior, level if calibration is None else calibration.level)

    def intervals(self, table: pd.DataFrame) -> dict[float, Floats]:
        """Level -> low and high in years (N, 2): the table's at its own level, others if calibrated."""
        found: dict[float, Floats] = {}
        if self.calibration is not None and self.calibration.ages is not None:
            ages = self.calibration.ages
            found = {level: ages.interval(table, level) for level in self.calibration.levels}
        if self.level is not None and table["age_low"].notna().any():
            found[self.level] = table[["age_low", "age_high"]].to_numpy(np.float64)
        return found

    def predictive(self, table: pd.DataFrame) -> Predictive | None:
        """The posterior of the ages where there is one, else the normal distribution of age_std."""
        if self.posterior is not None:
            masses_NA = self.posterior.posterior_NA[table.index]
            return PosteriorAges(Posterior(self.posterior.ages_A, masses_NA))
        if table["age_std"].notna().any():
            return NormalAges(*(table[name].to_numpy(np.float64) for name in ("age_pred", "age_std")))
        return None


def uncertainty_metrics(
    table: pd.DataFrame, evidence: Evidence, bootstrap: int = 1000, seed: int = 0
) -> dict[str, float | None]:
    """Figures of one part with `_low` and `_high` (95 %, clusters of duplicates); absent without a source.

    `age_coverage_90` and `age_width_90` (years) for each level, where labels are intervals also
    `age_coverage_90_whole`; `age_nll` (nats), `age_crps` (years); `gender_ece`, `gender_nll` (nats), both
    also `_calibrated`; `age_aurc` (years) and `gender_aurc`, with their `_excess`. docs/calibration.md
    defines them.
    """
    ages_N2 = age_interval(table).to_numpy(np.float64)
    clusters_N = clusters_of(table)
    ratios = _age_means(ages_N2, evidence.intervals(table), evidence.predictive(table))
    for suffix, confidence in _confidences(table).items():
        ratios[f"gender_ece{suffix}"] = confidence.gaps()
        ratios[f"gender_nll{suffix}"] = Ratio.mean(confidence.log_loss_N)
    found = estimate(ratios, clusters_N, bootstrap, seed)
    for name in ratios:
        if name.startswith("gender_ece"):
            found[name] = reflected(calibration_error(found[name]))
    found |= areas(_rankings(table), clusters_N, bootstrap, seed)
    figures: dict[str, float | None] = {}
    for name, one in found.items():
        bounded = _bounded(name, one, 0)
        figures |= bounded if bootstrap else {name: bounded[name]}
    return figures


def uncertainty_curves(
    table: pd.DataFrame, evidence: Evidence, bootstrap: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """What is more than one number of a part, for pictures and tables; a key is absent without a source.

    `gender_reliability` (`network`, `calibrated`): confidence and accuracy of each bin of 1/15 from 0 on.
    `age_calibration`: the share of ages below each predicted quantile. `risk_coverage` (`age`, `gender`):
    the mean risk on the surest share of faces. `coverage_by` (`age`, `gender`, `group`): see there; `level`.
    """
    ages_N2 = age_interval(table).to_numpy(np.float64)
    clusters_N = clusters_of(table)
    curves: dict[str, Any] = {"n": len(table)}
    reliability = {}
    for suffix, confidence in _confidences(table).items():
        found = estimate(confidence.in_bins(), clusters_N, bootstrap, seed)
        counts_K = confidence.members().sum(axis=0)
        reliability[suffix.removeprefix("_") or "network"] = [
            {
                "bin": k,
                "n": int(counts_K[k]),
                "confidence": float(found["confidence"].value_K[k]),
                **_bounded("accuracy", found["accuracy"], k),
            }
            for k in np.flatnonzero(counts_K).tolist()
        ]
    if reliability:
        curves["gender_reliability"] = reliability
    predictive = evidence.predictive(table)
    if predictive is not None and not np.isnan(ages_N2).all():
        pit = estimate({"share": _below_quantiles(predictive.pit(ages_N2))}, clusters_N, bootstrap, seed)
        curves["age_calibration"] = [
            {"quantile": round(float(q), 2)} | _bounded("share", pit["share"], k)
            for k, q in enumerate(_QUANTILES)
        ]
    curves["risk_coverage"] = {name: _curve(ranking) for name, ranking in _rankings(table).items()}
    intervals = evidence.intervals(table)
    if evidence.level in intervals and not np.isnan(ages_N2).all():
        curves["level"] = evidence.level
        curves["coverage_by"] = coverage_by(table, intervals[evidence.level], bootstrap, seed)
    return curves


def _age_means(
    ages_N2: Floats, intervals: dict[float, Floats], predictive: Predictive | None
) -> dict[str, Ratio]:
    ratios = {}
    has_intervals = bool((ages_N2[:, 0] < ages_N2[:, 1]).any())
    for level, interval_N2 in sorted(intervals.items()):
        percent = f"{100 * level:g}"
        ratios[f"age_coverage_{percent}"] = Ratio.mean(covered(ages_N2, interval_N2))
        ratios[f"age_width_{percent}"] = Ratio.mean(width(ages_N2, interval_N2))
        if has_intervals:
            ratios[f"age_coverage_{percent}_whole"] = Ratio.mean(covered_whole(ages_N2, interval_N2))
    if predictive is not None:
        loss_N = predictive.log_loss(ages_N2)
        # one impossible age makes the mean infinite, and no resample says anything
        ratios["age_nll"] = Ratio.mean(np.where(np.isinf(loss_N).any(), np.nan, loss_N))
        ratios["age_crps"] = Ratio.mean(predictive.crps(ages_N2))
    return ratios


def _confidences(table: pd.DataFrame) -> dict[str, GenderConfidence]:
    """Of the network's own probability, and of the calibrated one; none where no gender is known."""
    columns = {"": "gender_prob", "_calibrated": "gender_prob_calibrated"}
    is_known = table["gender"].notna()
    return {
        suffix: GenderConfidence(table, table[name])
        for suffix, name in columns.items()
        if (is_known & table[name].notna()).any()
    }


def _rankings(table: pd.DataFrame) -> dict[str, Ranking]:
    """Age by age_std, else by its interval; gender by its confidence. None where all are alike sure."""
    rankings = {}
    ages_N2 = age_interval(table).to_numpy(np.float64)
    error_N = np.abs(age_error(ages_N2, table["age_pred"].to_numpy(np.float64)))
    # the longer side of an interval: the other one may be cut at 0; rounded as files are
    sides = pd.DataFrame(
        {"up": table["age_high"] - table["age_pred"], "down": table["age_pred"] - table["age_low"]}
    )
    for unsure in (table["age_std"], sides.max(axis=1).round(5)):
        unsure_N = unsure.to_numpy(np.float64)
        judged_N = unsure_N[~np.isnan(error_N)]
        if len(judged_N) and not np.isnan(judged_N).any() and np.ptp(judged_N) > 1e-4:
            rankings["age"] = Ranking.of(unsure_N, error_N)
            break
    if table["gender"].notna().any():
        confidence = GenderConfidence(table, table["gender_prob"])
        rankings["gender"] = Ranking.of(-confidence.confidence_N, 1 - confidence.is_right_N)
    return rankings


def _below_quantiles(pit_N2: Floats) -> Ratio:
    """The share of ages below each quantile; an age between two of them counts for both in part."""
    low_N1, high_N1 = pit_N2[:, :1], pit_N2[:, 1:]
    span_N1 = np.maximum(high_N1 - low_N1, 1e-12)
    is_known_N1 = ~np.isnan(low_N1)
    share_NQ = np.clip((_QUANTILES - low_N1) / span_N1, 0, 1)
    return Ratio(np.where(is_known_N1, share_NQ, 0.0), is_known_N1.astype(np.float64))


def _curve(ranking: Ranking) -> dict[str, list[float]]:
    answered, risk = ranking.curve()
    places = np.unique(np.linspace(0, len(answered) - 1, _POINTS).round().astype(int))
    return {"answered": answered[places].tolist(), "risk": risk[places].tolist()}


def _bounded(name: str, found: Estimate, k: int) -> dict[str, float | None]:
    low, high = bounds(found.drawn_RK[:, k])
    value = found.value_K[k]
    return {name: float(value) if np.isfinite(value) else None, f"{name}_low": low, f"{name}_high": high}
