"""How a run's figures are called and written, for the tables of all reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FIGURES = {
    "age_rmse": ("age RMSE (years)", 2),
    "age_mae": ("age MAE (years)", 2),
    "age_score": ("age score", 3),
    "age_rmse_midpoint": ("age RMSE to the midpoint (years)", 2),
    "age_interval_hit": ("age in its interval (whole years)", 3),
    "age_median_error": ("age median absolute error (years)", 2),
    "age_cs_3": ("age within 3 years (CS@3)", 3),
    "age_cs_5": ("age within 5 years (CS@5)", 3),
    "age_cs_10": ("age within 10 years (CS@10)", 3),
    "age_bias": ("age bias, predicted less labelled (years)", 2),
    "age_slope": ("age slope, predicted on labelled", 3),
    "age_r2": ("age R²", 3),
    "age_skill": ("age skill over the constant", 3),
    "age_true_p1": ("labelled age, 1st percentile (years)", 1),
    "age_true_p99": ("labelled age, 99th percentile (years)", 1),
    "age_pred_p1": ("predicted age, 1st percentile (years)", 1),
    "age_pred_p99": ("predicted age, 99th percentile (years)", 1),
    "gender_f1": ("gender macro F1", 3),
    "gender_accuracy": ("gender accuracy", 3),
    "gender_balanced_accuracy": ("gender balanced accuracy", 3),
    "gender_recall_female": ("recall of female faces", 3),
    "gender_recall_male": ("recall of male faces", 3),
    "gender_auroc": ("gender AUROC", 3),
    "gender_brier": ("gender Brier score", 3),
    "harmonic_mean": ("harmonic mean", 3),
}
"""Figure -> what it is called, and how many digits it is given, in the order of docs/metrics.md."""

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


def cell(values: Mapping[str, Any], key: str, digits: int | None = None) -> str:
    """A figure for a table, with its interval where there is one; a dash where there is none.

    One of FIGURES has its digits there.
    """
    digits = FIGURES[key][1] if digits is None else digits
    text = number(values.get(key), digits)
    low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
    if low is None:
        return text
    to = " to " if low < 0 else "–"
    return f"{text} ({number(low, digits)}{to}{number(high, digits)})"


def number(value: float | None, digits: int) -> str:
    """With a dash where there is none."""
    return "–" if value is None else f"{value:z.{digits}f}"
