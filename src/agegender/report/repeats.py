"""One setting repeated over seeds or folds: mean, standard deviation and 95 % t-interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy.special import stdtrit

from agegender.report import figures
from agegender.report.figures import cell
from agegender.report.page import Block, Table, Text

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


def grouped(rows: Sequence[Row], keys: Sequence[str]) -> dict[tuple[str | None, ...], list[Row]]:
    """The jobs by their values of these keys, in the order of the jobs."""
    groups: dict[tuple[str | None, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def repeat_blocks(rows: Sequence[Row], varied: Sequence[str], part: str) -> list[Block]:
    """Means over the repeats: a row a setting; nothing where no two jobs differ in REPEATS alone."""
    others = [key for key in varied if key not in REPEATS]
    groups = grouped(rows, others)
    what = repeated(varied)
    if not what or all(len(group) < 2 for group in groups.values()):
        return []
    table = _settings(groups, others, part, what) if others else _one_setting(rows, part, what)
    return [
        Text(f"Figures of the {part} part; {what} whose job is not ok are left out."),
        table,
    ]


def repeated(varied: Sequence[str]) -> str:
    """What the repeats of a sweep are: "seeds", "folds", "seeds and folds", or "" where there are none."""
    return " and ".join(word for key, word in REPEATS.items() if key in varied)


def _meaning(what: str) -> str:
    if "folds" in what:
        return "Folds share most of their training faces: their intervals are somewhat too narrow."
    return "What another draw of the faces would change is not in them."


def _settings(
    groups: dict[tuple[str | None, ...], list[Row]], others: Sequence[str], part: str, what: str
) -> Table:
    lines = []
    for chosen, group in groups.items():
        ready = sum(row["status"] == "ok" for row in group)
        cells = [_cell(spread(figure_values(group, part, name)), name) for name in FIGURES]
        lines.append(
            [*("–" if value is None else value for value in chosen), f"{ready} of {len(group)}", *cells]
        )
    caption = f"Means, in brackets their 95 % t-intervals over the {what} (two or more). {_meaning(what)}"
    return Table([*others, what, *FIGURES.values()], lines, caption)


def _one_setting(rows: Sequence[Row], part: str, what: str) -> Table:
    lines = []
    for name, label in FIGURES.items():
        found = spread(figure_values(rows, part, name))
        sd = "–" if found is None or found.sd is None else cell({name: found.sd}, name)
        lines.append([label, f"{found.n if found else 0} of {len(rows)}", _cell(found, name), sd])
    caption = f"In brackets: 95 % t-intervals of the mean over the {what}. {_meaning(what)}"
    return Table(["", what, "mean", "standard deviation"], lines, caption)


def _cell(found: Spread | None, name: str) -> str:
    if found is None:
        return "–"
    bounds = {} if found.low is None else {f"{name}_low": found.low, f"{name}_high": found.high}
    return cell({name: found.mean, **bounds}, name)
