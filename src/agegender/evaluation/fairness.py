"""The same figures for every kind of face, and the largest gaps between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from agegender.evaluation.axes import Axis, axes_of
from agegender.evaluation.bootstrap import Floats
from agegender.evaluation.cells import FIGURES, Cells, judge_cells

OVERALL = "all"
"""Axis and cell of all faces."""

ERRORS = ("age_rmse", "age_mae")
"""Figures of which less is better; of the bias 0 is best, of all others more."""

_GAPS = (
    "axis", "figure", "cells", "lowest", "lowest_value", "highest", "highest_value", "worst",
    "gap", "gap_low", "gap_high", "noise", "ratio",
)  # fmt: skip


@dataclass(frozen=True)
class Fairness:
    """Years, shares from 0 to 1, NaN where there is nothing to say."""

    cells: pd.DataFrame
    """A row a cell: axis, cell, n, n_age, n_gender, clusters, and `<name>`, `<name>_low`, `<name>_high` for
    each of FIGURES, NaN where the cell has too few faces. The first row is that of all faces."""
    gaps: pd.DataFrame
    """A row an axis and figure: how many cells have it; the lowest, the highest and the worst of them; the
    gap with its interval, its noise, and the ratio lowest / highest (none of the bias)."""
    notes: list[str]
    """Sentences on what could not be compared."""


def fairness(
    table: pd.DataFrame, by: Sequence[str] = (), min_group: int = 30, bootstrap: int = 1000, seed: int = 0
) -> Fairness:
    """The figures of every cell of `axes_of(table, by)` by `judge_cells`, and each axis' largest gaps.

    `<name>_low` and `<name>_high` bound the 95 % percentile bootstrap over clusters of faces. A gap is the
    highest figure less the lowest. Noise alone makes one, the more so the more and the smaller the cells are:
    `noise` is the 95th percentile, over the resamples, of the range over the cells of resampled less found
    figure, what the gap between equal cells stays below in 19 of 20 samples. A found and a true gap differ by
    at most the range of the cells' errors; hence `gap_low` to `gap_high`, gap - noise (at least 0) to
    gap + noise, holds the true one in 95 % of samples or more.

    Raises UserError for an unknown column.
    """
    axes = axes_of(table, by)
    everyone = Axis(OVERALL, np.zeros(len(table), np.int64), [OVERALL])
    cells, left_out = judge_cells(table, [everyone, *axes], min_group, bootstrap, seed)
    low_KF, high_KF = cells.bounds()
    figures = cells.table.copy()
    for i, name in enumerate(FIGURES):
        figures[name] = cells.found_KF[:, i]
        figures[f"{name}_low"], figures[f"{name}_high"] = low_KF[:, i], high_KF[:, i]
    gaps = pd.DataFrame([gap for axis in axes for gap in _gaps(cells, axis.name)], columns=list(_GAPS))
    return Fairness(figures, gaps, [*_said(axes, by, len(table)), *left_out])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table, JSON-safe: None for NaN."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _gaps(cells: Cells, axis: str) -> Iterator[dict[str, Any]]:
    rows = np.flatnonzero(cells.table["axis"] == axis)
    names = cells.table["cell"].to_numpy()
    for i, figure in enumerate(FIGURES):
        judged = rows[~np.isnan(cells.found_KF[rows, i])]
        if len(judged) < 2:
            continue
        found_K = cells.found_KF[judged, i]
        lowest, highest = int(found_K.argmin()), int(found_K.argmax())
        low, high, gap = found_K[lowest], found_K[highest], found_K[highest] - found_K[lowest]
        is_bias = figure == "age_bias"
        worst = highest if figure in ERRORS or (is_bias and high > -low) else lowest
        noise = _noise(cells.drawn_RKF[:, judged, i] - found_K)
        top = np.inf if is_bias or figure in ERRORS else 1.0
        yield {
            "axis": axis,
            "figure": figure,
            "cells": len(judged),
            "lowest": names[judged[lowest]],
            "lowest_value": low,
            "highest": names[judged[highest]],
            "highest_value": high,
            "worst": names[judged[worst]],
            "gap": gap,
            "gap_low": max(gap - noise, 0.0) if noise == noise else np.nan,
            "gap_high": min(gap + noise, top) if noise == noise else np.nan,
            "noise": noise,
            "ratio": low / high if not is_bias and high > 0 else np.nan,
        }


def _noise(deviations_RK: Floats) -> float:
    """NaN without resamples."""
    if not len(deviations_RK):
        return float("nan")
    range_R = np.fmax.reduce(deviations_RK, axis=1) - np.fmin.reduce(deviations_RK, axis=1)
    return float(np.nanpercentile(range_R, 95))


def _said(axes: Sequence[Axis], by: Sequence[str], n: int) -> Iterator[str]:
    found = {axis.name: axis for axis in axes}
    for name in dict.fromkeys(("gender", "group", "age band", *by)):
        axis = found.get(name)
        if axis is None:
            yield f"No face has a known {name}."
            continue
        unknown = int((axis.codes_N < 0).sum())
        if unknown:
            yield f"{unknown:,} of {n:,} faces have no known {name} and are in no cell of it."
        if len(axis.cells) == 1:
            yield f"All faces have the same {name} ({axis.cells[0]}): there is nothing to compare."
