"""How many ages lie in the intervals that were predicted for them, and how wide those are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.data.manifest import age_interval, age_midpoint
from agegender.data.stratify import AGE_BANDS, band_name
from agegender.evaluation.bootstrap import Floats, bounds, clusters_of
from agegender.evaluation.ratios import Ratio, estimate

MIN_FACES = 30
"""Faces from which on a subgroup's coverage is told."""

_MOST = 20
"""Groups that are told of, the largest ones."""


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
    """Coverage and mean width by true age band, gender and group (the largest _MOST of them).

    Rows hold name, n, coverage and width with `_low` and `_high`; None where n is below MIN_FACES.
    """
    ages_N2 = age_interval(table).to_numpy(np.float64)
    hits_N, widths_N = covered(ages_N2, interval_N2), width(ages_N2, interval_N2)
    judged = ~np.isnan(hits_N)
    table, hits_N, widths_N = table[judged], hits_N[judged], widths_N[judged]
    rows: dict[str, list[dict[str, Any]]] = {}
    ratios = {}
    for axis, values in _axes(table).items():
        counts = values.value_counts(sort=False)
        if axis == "group":
            counts = counts.sort_values(ascending=False, kind="stable")[:_MOST]
        rows[axis] = [{"name": str(name), "n": int(n)} for name, n in counts.items() if n]
        told = [row["name"] for row in rows[axis] if row["n"] >= MIN_FACES]
        member_NK = (values.astype(object).to_numpy()[:, None] == np.asarray(told, object)).astype(np.float64)
        ratios[f"{axis} coverage"] = Ratio(member_NK * hits_N[:, None], member_NK)
        ratios[f"{axis} width"] = Ratio(member_NK * widths_N[:, None], member_NK)
    found = estimate(ratios, clusters_of(table), bootstrap, seed)
    for axis, lines in rows.items():
        told_rows = iter(range(len(lines)))
        for row in lines:
            is_told = row["n"] >= MIN_FACES
            place = next(told_rows) if is_told else None
            for figure in ("coverage", "width"):
                of_axis = found[f"{axis} {figure}"]
                row[figure] = None if place is None else float(of_axis.value_K[place])
                low, high = (None, None) if place is None else bounds(of_axis.drawn_RK[:, place])
                row |= {f"{figure}_low": low, f"{figure}_high": high}
    return rows


def _axes(table: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    bands = np.digitize(age_midpoint(table), AGE_BANDS)
    names = [band_name(band) for band in range(len(AGE_BANDS) + 1)]
    age = pd.Series(pd.Categorical.from_codes(bands, names), index=table.index)
    return {"age": age, "gender": table["gender"], "group": table["group"]}
