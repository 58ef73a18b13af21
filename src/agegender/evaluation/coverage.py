"""How many ages lie in the intervals that were predicted for them, and how wide those are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.types import GENDERS
from agegender.data.age_bands import AGE_BANDS, band_name
from agegender.data.manifest import age_interval, age_midpoint
from agegender.evaluation.bootstrap import Floats, bounds, clusters_of
from agegender.evaluation.ratios import Ratio, estimate

MIN_FACES = 30
"""Faces from which on a subgroup's coverage is told."""

MOST_GROUPS = 20
"""That are told of."""


def covered(ages_N2: Floats, interval_N2: Floats) -> Floats:
    """1 where a predicted interval holds the age or meets the labelled interval; NaN where one is unknown."""
    meets_N = (interval_N2[:, 0] <= ages_N2[:, 1]) & (interval_N2[:, 1] >= ages_N2[:, 0])
    return _known(meets_N, ages_N2, interval_N2)


def covered_whole(ages_N2: Floats, interval_N2: Floats) -> Floats:
    """1 where a predicted interval holds all of the labelled one: so far the true age is surely covered."""
    holds_N = (interval_N2[:, 0] <= ages_N2[:, 0]) & (interval_N2[:, 1] >= ages_N2[:, 1])
    return _known(holds_N, ages_N2, interval_N2)


def width(ages_N2: Floats, interval_N2: Floats) -> Floats:
    """Years, of the same faces as the coverage."""
    return _known(interval_N2[:, 1] - interval_N2[:, 0], ages_N2, interval_N2)


def _known(values_N: npt.NDArray[Any], ages_N2: Floats, interval_N2: Floats) -> Floats:
    is_unknown_N = np.isnan(ages_N2[:, 0]) | np.isnan(interval_N2).any(axis=1)
    return np.where(is_unknown_N, np.nan, values_N.astype(np.float64))


def coverage_by(
    table: pd.DataFrame, interval_N2: Floats, bootstrap: int, seed: int = 0
) -> dict[str, list[dict[str, Any]]]:
    """Coverage and mean width by true age band, gender and group (the MOST_GROUPS largest).

    Rows hold name, n, coverage and width, each with `_low` and `_high`; None where n is below MIN_FACES.
    Where all are covered, all resamples are: the lower bound is then Clopper and Pearson's, of clusters.
    """
    ages_N2 = age_interval(table).to_numpy(np.float64)
    hits_N, widths_N = covered(ages_N2, interval_N2), width(ages_N2, interval_N2)
    judged = ~np.isnan(hits_N)
    table, hits_N1, widths_N1 = table[judged], hits_N[judged, None], widths_N[judged, None]
    subgroups = _subgroups(table)
    member_NK = np.column_stack([member_N for _, _, member_N in subgroups]).astype(np.float64)
    ratios = {
        "coverage": Ratio(member_NK * hits_N1, member_NK),
        "width": Ratio(member_NK * widths_N1, member_NK),
    }
    clusters_N = clusters_of(table)
    found = estimate(ratios, clusters_N, bootstrap, seed)
    rows: dict[str, list[dict[str, Any]]] = {"age": [], "gender": [], "group": []}
    for k, (axis, name, member_N) in enumerate(subgroups):
        row: dict[str, Any] = {"name": name, "n": int(member_N.sum())}
        for figure, of_figure in found.items():
            value, low, high = None, None, None
            if row["n"] >= MIN_FACES:
                value = float(of_figure.value_K[k])
                low, high = bounds(of_figure.drawn_RK[:, k])
            if figure == "coverage" and value == 1 and bootstrap:
                low = 0.025 ** (1 / len(np.unique(clusters_N[member_N])))
            row |= {figure: value, f"{figure}_low": low, f"{figure}_high": high}
        rows[axis].append(row)
    return rows


def _subgroups(table: pd.DataFrame) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Axis, name and which faces are in it."""
    band_N = np.digitize(age_midpoint(table), AGE_BANDS)
    found = [("age", str(band_name(band)), band_N == band) for band in np.unique(band_N)]
    found += [("gender", name, (table["gender"] == name).to_numpy()) for name in GENDERS]
    largest = table["group"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    names = largest.index[:MOST_GROUPS]
    return found + [("group", str(name), (table["group"] == name).to_numpy()) for name in names]
