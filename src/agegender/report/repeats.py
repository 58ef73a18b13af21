"""One setting repeated over seeds or folds: mean, standard deviation and 95 % t-interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from scipy.special import stdtrit

from agegender.report import figures
from agegender.report.figures import cell
from agegender.report.page import Table

Row = dict[str, Any]

FIGURES = {name: figures.FIGURES[name][0] for name in ("age_rmse", "age_mae", "gender_f1", "harmonic_mean")}
"""The figures of a sweep's tables."""


REPEATS = {"seed": "seeds", "split.fold": "folds"}
"""Keys that repeat a setting, and what their values are called."""


@dataclass(frozen=True)
class Spread:
    """What n values of one figure tell; a single value has no spread."""

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None


def spread(values: Sequence[float]) -> Spread | None:
    """Mean, standard deviation and the 95 % interval of Student's t around the mean; None without values."""
    n = len(values)
    if not n:
        return None
    mean = fmean(values)
    if n == 1:
        return Spread(n, mean, None, None, None)
    sd = stdev(values)
    half = float(stdtrit(n - 1, 0.975)) * sd / n**0.5
    return Spread(n, mean, sd, mean - half, mean + half)


def figure_values(rows: Sequence[Row], part: str, name: str) -> list[float]:
    """A figure of those jobs that are finished."""
    values = [row[f"{part}_{name}"] for row in rows if row["status"] == "ok"]
    return [value for value in values if value is not None]


def estimate(rows: Sequence[Row], part: str, name: str) -> Spread | None:
    """Mean over the finished jobs with its t-interval; a single job has its own interval over faces."""
    column = f"{part}_{name}"
    found = spread(figure_values(rows, part, name))
    if found is None or found.n > 1:
        return found
    (row,) = (row for row in rows if row["status"] == "ok" and row[column] is not None)
    return replace(found, low=row.get(f"{column}_low"), high=row.get(f"{column}_high"))


def grouped(rows: Sequence[Row], keys: Sequence[str]) -> dict[tuple[str | None, ...], list[Row]]:
    """The jobs by their values of these keys, in the order of the jobs."""
    groups: dict[tuple[str | None, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def repeated(varied: Sequence[str]) -> str:
    """What the repeats of a sweep are: "seeds", "folds", "seeds and folds", or "" where there are none."""
    return " and ".join(word for key, word in REPEATS.items() if key in varied)


def meaning(what: str) -> str:
    """What an interval over these repeats does not hold."""
    if "folds" in what:
        return "Folds share most of their training faces: their intervals are somewhat too narrow."
    return "What another draw of the faces would change is not in them."


def one_setting(rows: Sequence[Row], part: str, what: str) -> Table:
    """A row a figure, where nothing but the repeats varies."""
    lines = []
    for name, label in FIGURES.items():
        found = spread(figure_values(rows, part, name))
        sd = "–" if found is None or found.sd is None else cell({name: found.sd}, name)
        lines.append([label, f"{found.n if found else 0} of {len(rows)}", spread_cell(found, name), sd])
    caption = f"In brackets: 95 % t-intervals of the mean over the {what}. {meaning(what)}"
    return Table(["", what, "mean", "standard deviation"], lines, caption)


def spread_cell(found: Spread | None, name: str) -> str:
    """A mean for a table, with its interval where it has one."""
    if found is None:
        return "–"
    bounds = {} if found.low is None else {f"{name}_low": found.low, f"{name}_high": found.high}
    return cell({name: found.mean, **bounds}, name)
