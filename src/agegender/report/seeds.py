"""Several training seeds of one setting: mean, standard deviation and 95 % t-interval over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy.special import stdtrit

from agegender.report.page import Block, Table, Text
from agegender.report.run import cell

Row = dict[str, Any]

FIGURES = {
    "age_rmse": "age RMSE (years)",
    "age_mae": "age MAE (years)",
    "gender_f1": "gender macro F1",
    "harmonic_mean": "harmonic mean",
}
"""The figures of a sweep's tables."""


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


def grouped(rows: Sequence[Row], keys: Sequence[str]) -> dict[tuple[str | None, ...], list[Row]]:
    """The jobs by their values of these keys, in the order of the jobs."""
    groups: dict[tuple[str | None, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def seed_blocks(rows: Sequence[Row], varied: Sequence[str], part: str) -> list[Block]:
    """The section "Mean over seeds": a row a setting; nothing where no two jobs differ in `seed` alone."""
    others = [key for key in varied if key != "seed"]
    groups = grouped(rows, others)
    if "seed" not in varied or all(len(group) < 2 for group in groups.values()):
        return []
    table = _settings(groups, others, part) if others else _one_setting(rows, part)
    return [
        Text(f"Figures of the {part} part; seeds whose job is not ok are left out."),
        table,
    ]


_MEANING = "What another draw of the faces would change is not in them."


def _settings(groups: dict[tuple[str | None, ...], list[Row]], others: Sequence[str], part: str) -> Table:
    lines = []
    for chosen, group in groups.items():
        ready = sum(row["status"] == "ok" for row in group)
        cells = [_cell(spread(figure_values(group, part, name)), name) for name in FIGURES]
        lines.append(
            [*("–" if value is None else value for value in chosen), f"{ready} of {len(group)}", *cells]
        )
    caption = f"Means, in brackets their 95 % t-intervals over the seeds (two or more). {_MEANING}"
    return Table([*others, "seeds", *FIGURES.values()], lines, caption)


def _one_setting(rows: Sequence[Row], part: str) -> Table:
    lines = []
    for name, label in FIGURES.items():
        found = spread(figure_values(rows, part, name))
        sd = "–" if found is None or found.sd is None else cell({name: found.sd}, name)
        lines.append([label, f"{found.n if found else 0} of {len(rows)}", _cell(found, name), sd])
    caption = f"In brackets: 95 % t-intervals of the mean over the seeds. {_MEANING}"
    return Table(["", "seeds", "mean", "standard deviation"], lines, caption)


def _cell(found: Spread | None, name: str) -> str:
    if found is None:
        return "–"
    bounds = {} if found.low is None else {f"{name}_low": found.low, f"{name}_high": found.high}
    return cell({name: found.mean, **bounds}, name)
