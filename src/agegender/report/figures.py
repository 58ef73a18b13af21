"""How a run's figures are called and written, for the tables of all reports."""

from __future__ import annotations

from collections.abc import Iterable
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


def interval_note(targets: Iterable[str]) -> str | None:
    """What to know of age errors where labels are intervals; None where `age_target` is always exact."""
    found = set(targets)
    if found <= {"exact"}:
        return None
    which = "All" if found == {"interval"} else "Some"
    return (
        f"{which} ages are labelled as intervals: their error is the distance to the interval, 0 inside, and "
        "so smaller than an error to an exact age."
    )


def judged_part(figures: dict[str, Any]) -> str:
    """The part whose figures stand for the run: test, or val where the split has no test part."""
    return "test" if figures.get("test") else "val"


def cell(values: dict[str, Any], key: str) -> str:
    """One of the figures for a table, with its interval where there is one; a dash where there is none."""
    digits = FIGURES[key][1]
    text = number(values.get(key), digits)
    low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
    return text if low is None else f"{text} ({number(low, digits)}–{number(high, digits)})"


def number(value: float | None, digits: int) -> str:
    """With a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
