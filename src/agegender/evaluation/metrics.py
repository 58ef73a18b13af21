"""Figures of a predictions table: pure functions, with bootstrap intervals over duplicate clusters.

The headline figures follow from seven sums over the faces (squared and absolute age error, known ages, the
four cells of the confusion matrix; three more where ages are intervals), so that a bootstrap resample is
one weighted sum. `age_figures` and `gender_figures` hold the others, which need the faces themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.types import GENDERS
from agegender.data.manifest import age_interval
from agegender.evaluation.age_figures import age_error, age_figures, age_ranges
from agegender.evaluation.bootstrap import (
    Floats,
    bounds,
    cluster_sums,
    clusters_of,
    face_weights,
    resampled_weights,
)
from agegender.evaluation.gender_figures import gender_figures

FIGURES = ("age_rmse", "age_mae", "age_score", "gender_f1", "gender_accuracy", "harmonic_mean")
"""The headline figures: those of validation, of the constant predictor and of comparisons."""

INTERVAL_FIGURES = ("age_rmse_midpoint", "age_interval_hit")
"""Those that a part with ages given as intervals has beside them."""


def metrics(
    table: pd.DataFrame, rmse_cap: float = 30.0, bootstrap: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """The figures of one part, JSON-safe; None where no face has the label.

    Ages are in years, F1 is macro over both genders, `age_score = 1 - min(RMSE, cap) / cap`, and the
    harmonic mean is that of age_score and F1. The error of an age is its distance to the labelled interval,
    0 inside; where there are intervals, `age_rmse_midpoint` takes their midpoints instead, and
    `age_interval_hit` is the share of them that hold the predicted age, rounded to whole years.
    `age_target` says which labels there are: exact, interval or mixed. `<name>_low` and `<name>_high` bound
    the 95 % percentile bootstrap over duplicate clusters (rows where no cluster is known). `constant_*`
    answers these very faces' mean age (RMSE), median age (MAE; both of midpoints) and commonest gender.
    Beside these headline figures stand those of `age_figures`, `gender_figures` and `age_ranges`, and
    `gender_confusion`: labelled gender -> predicted gender -> faces.
    """
    ages_N2 = age_interval(table).to_numpy(np.float64)
    age_pred = table["age_pred"].to_numpy(np.float64)
    female_true, female_pred = _female(table["gender"]), _female(table["gender_pred"])
    female_prob = table["gender_prob"].to_numpy(np.float64)
    sums_NS = face_sums(table)
    clusters = clusters_of(table)
    figures: dict[str, Any] = {
        "n": len(table),
        "n_age": int((~np.isnan(ages_N2[:, 0])).sum()),
        "n_gender": int((~np.isnan(female_true)).sum()),
        "n_clusters": int(clusters.max(initial=-1)) + 1,
        "age_target": _target_kind(ages_N2),
    }

    def of_weighted(weights_RN: Floats) -> dict[str, Floats]:
        of_gender = gender_figures(female_true, female_pred, female_prob, weights_RN)
        return age_figures(ages_N2, age_pred, weights_RN) | of_gender

    figures |= _plain(figures_of_sums(sums_NS.sum(axis=0, keepdims=True), rmse_cap))
    figures |= _constant(ages_N2, female_true, rmse_cap)
    figures |= _plain(of_weighted(np.ones((1, len(table)))))
    figures |= age_ranges(ages_N2, age_pred)
    figures["gender_confusion"] = _confusion(sums_NS) if figures["n_gender"] else None
    if bootstrap and len(table):
        drawn = _resampled(sums_NS, clusters, of_weighted, rmse_cap, bootstrap, seed)
        for name, values in drawn.items():
            figures[f"{name}_low"], figures[f"{name}_high"] = bounds(values)
    return figures


def point_metrics(
    ages_N2: Floats, age_pred: Floats, female_true: Floats, female_prob: Floats, rmse_cap: float
) -> dict[str, float | None]:
    """The figures of `metrics` without confidence intervals, from arrays (N,) and the labelled ages (N, 2).

    Ages are in years, both equal where they are exact; `female_true` is 1 female, 0 male; NaN marks a
    missing label. A probability of 0.5 counts as female.
    """
    sums_NS = _sums(ages_N2, age_pred, female_true, (female_prob >= 0.5).astype(np.float64))
    return _plain(figures_of_sums(sums_NS.sum(axis=0, keepdims=True), rmse_cap))


def face_sums(table: pd.DataFrame) -> Floats:
    """What each face of a predictions table adds to the sums, (N, S)."""
    return _sums(
        age_interval(table).to_numpy(np.float64),
        table["age_pred"].to_numpy(np.float64),
        _female(table["gender"]),
        _female(table["gender_pred"]),
    )


def _female(genders: pd.Series[str]) -> Floats:
    """1 female, 0 male, NaN unknown."""
    return np.asarray(genders.map({"female": 1.0, "male": 0.0}), np.float64)


def _sums(ages_N2: Floats, age_pred: Floats, female_true: Floats, female_pred: Floats) -> Floats:
    """A row a face: squared error, absolute error, has age, then female/female, female/male, ... cells.

    Where any age is an interval: squared error to the midpoint, is an interval, holds the rounded age.
    """
    low, high = ages_N2.T
    has_age, is_interval = ~np.isnan(low), low < high
    error = np.where(has_age, age_error(ages_N2, age_pred), 0.0)
    is_female, is_male = female_true == 1, female_true == 0
    said_female = female_pred == 1
    columns = [
        error**2,
        np.abs(error),
        has_age,
        is_female & said_female,
        is_female & ~said_female,
        is_male & said_female,
        is_male & ~said_female,
    ]
    if is_interval.any():
        years = np.rint(age_pred)
        to_midpoint = np.where(has_age, age_pred - (low + high) / 2, 0.0)
        columns += [to_midpoint**2, is_interval, is_interval & (low <= years) & (years <= high)]
    return np.column_stack(columns).astype(np.float64)


def figures_of_sums(sums_RS: Floats, rmse_cap: float) -> dict[str, Floats]:
    """The figures of R weighted samples, NaN where a sample has no such label."""
    squared, absolute, ages, ff, fm, mf, mm, *of_intervals = sums_RS.T
    with np.errstate(invalid="ignore", divide="ignore"):
        rmse = np.sqrt(squared / ages)
        mae = absolute / ages
        f1 = (_f1(ff, fm, mf) + _f1(mm, mf, fm)) / 2
        accuracy = (ff + mm) / (ff + fm + mf + mm)
        f1 = np.where(np.isnan(accuracy), np.nan, f1)
        score = 1 - np.minimum(rmse, rmse_cap) / rmse_cap
        both = score + f1
        harmonic = np.where(both == 0, 0.0, 2 * score * f1 / both)
        figures = dict(zip(FIGURES, (rmse, mae, score, f1, accuracy, harmonic), strict=True))
        if of_intervals:
            to_midpoint, intervals, hits = of_intervals
            found = np.sqrt(to_midpoint / ages), hits / intervals
            figures |= zip(INTERVAL_FIGURES, found, strict=True)
    return figures


def _f1(hits: Floats, misses: Floats, false_alarms: Floats) -> Floats:
    """F1 of one class; 0 where the class neither occurs nor is predicted, as scikit-learn has it."""
    parts = 2 * hits + misses + false_alarms
    return np.where(parts > 0, 2 * hits / np.where(parts > 0, parts, 1), 0.0)


def _plain(figures: dict[str, Floats]) -> dict[str, float | None]:
    return {name: None if np.isnan(value[0]) else float(value[0]) for name, value in figures.items()}


def _constant(ages_N2: Floats, female_true: Floats, rmse_cap: float) -> dict[str, float | None]:
    midpoints = ages_N2.mean(axis=1)
    known = midpoints[~np.isnan(midpoints)]
    mean, median = (known.mean(), np.median(known)) if len(known) else (np.nan, np.nan)
    commonest = np.full_like(female_true, float(np.nansum(female_true == 1) >= np.nansum(female_true == 0)))
    by_mean = point_metrics(ages_N2, np.full_like(midpoints, mean), female_true, commonest, rmse_cap)
    by_median = point_metrics(ages_N2, np.full_like(midpoints, median), female_true, commonest, rmse_cap)
    by_mean["age_mae"] = by_median["age_mae"]
    return {f"constant_{name}": value for name, value in by_mean.items()}


def _confusion(sums_NS: Floats) -> dict[str, dict[str, int]]:
    cells = sums_NS[:, 3:7].sum(axis=0).astype(int).reshape(2, 2).tolist()
    return {true: dict(zip(GENDERS, row, strict=True)) for true, row in zip(GENDERS, cells, strict=True)}


def _resampled(
    sums_NS: Floats,
    clusters: npt.NDArray[np.intp],
    of_weighted: Callable[[Floats], dict[str, Floats]],
    rmse_cap: float,
    bootstrap: int,
    seed: int,
) -> dict[str, Floats]:
    """All figures of each resample."""
    sums_CS = cluster_sums(sums_NS, clusters)
    samples, found = [], []
    for weights_RC in resampled_weights(len(sums_CS), bootstrap, seed):
        samples.append(weights_RC @ sums_CS)
        found += [of_weighted(weights_RN) for weights_RN in face_weights(weights_RC, clusters)]
    others = {name: np.concatenate([figures[name] for figures in found]) for name in found[0]}
    return figures_of_sums(np.concatenate(samples), rmse_cap) | others


def _target_kind(ages_N2: Floats) -> str:
    low, high = ages_N2.T
    has_interval, has_exact = (low < high).any(), (low == high).any()
    return "mixed" if has_interval and has_exact else "interval" if has_interval else "exact"
