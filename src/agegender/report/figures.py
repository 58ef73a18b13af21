"""How a run's figures are called and written, for the tables of all reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIGURES = {
    "age_rmse": ("age RMSE (years)", 2),
    "age_mae": ("age MAE (years)", 2),
    "age_score": ("age score", 3),
    "age_rmse_midpoint": ("age RMSE to the midpoint (years)", 2),
    "age_interval_hit": ("age in its interval (whole years)", 3),
    "gender_f1": ("gender macro F1", 3),
    "gender_accuracy": ("gender accuracy", 3),
    "harmonic_mean": ("harmonic mean", 3),
}
"""Figure -> what it is called, and how many digits it is given. Two are of ages that are intervals."""

BOOTSTRAPPED = "In brackets: 95 % intervals, by bootstrap over the clusters of duplicates."


def judged_part(figures: dict[str, Any]) -> str:
    """The part whose figures stand for the run: test, or val where the split has no test part."""
    return "test" if figures.get("test") else "val"


def cell(values: Mapping[str, Any], key: str, digits: int | None = None) -> str:
    """A figure for a table, with its interval where there is one; a dash where there is none.

    One of FIGURES has its digits there.
    """
    digits = FIGURES[key][1] if digits is None else digits
    text = number(values.get(key), digits)
    low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
    return text if low is None else f"{text} ({number(low, digits)}–{number(high, digits)})"


def number(value: float | None, digits: int) -> str:
    """With a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
