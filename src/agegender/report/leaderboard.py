"""The settings of a sweep, best first: means over the repeats, and what training costs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from agegender.report.figures import FIGURES, number
from agegender.report.jobs import Jobs
from agegender.report.page import Table
from agegender.report.repeats import Row, Spread, estimate, grouped, meaning, repeated, spread_cell

LEADERS = ("age_rmse", "age_score", "gender_f1", "harmonic_mean")
"""The figures of the leaderboard."""

SINGLE_TASK = {"age_only": "age_score", "gender_only": "gender_f1"}
"""Balancers that train one task alone, and the figure that they bound for the others."""

_TRAINED = {"age_only": ("age_rmse", "age_score"), "gender_only": ("gender_f1",)}
"""Of an untrained head there is nothing to say."""


@dataclass(frozen=True)
class Setting:
    """Jobs that differ in their repeats alone."""

    rank: int
    """Place on the leaderboard, from 1; the setting's number in the pictures."""
    chosen: dict[str, str | None]
    jobs: list[Row]
    figures: dict[str, Spread]
    """Those of LEADERS that a finished job has, and has trained for."""
    faces_per_second: float | None

    @property
    def name(self) -> str:
        return " · ".join("–" if value is None else value for value in self.chosen.values())

    @property
    def balancer(self) -> str | None:
        return self.chosen.get("balancer")


def ranked(jobs: Jobs) -> list[Setting]:
    """By the mean of the harmonic mean; last come settings that have none yet."""
    found = []
    for chosen, group in grouped(jobs.rows, jobs.settings).items():
        settings = dict(zip(jobs.settings, chosen, strict=True))
        names = _TRAINED.get(settings.get("balancer") or "", LEADERS)
        estimates = {name: estimate(group, jobs.part, name) for name in names}
        figures = {name: value for name, value in estimates.items() if value is not None}
        speeds = [row["faces_per_second"] for row in group if row["status"] == "ok"]
        speed = median([value for value in speeds if value] or [0.0]) or None
        found.append((settings, group, figures, speed))
    found.sort(key=lambda each: -each[2]["harmonic_mean"].mean if "harmonic_mean" in each[2] else 1)
    return [Setting(rank, *each) for rank, each in enumerate(found, 1)]


def relative_cost(settings: Sequence[Setting]) -> tuple[dict[int, float], str]:
    """Training time a face by rank, as a multiple of what is named: `fixed`, else the fastest setting."""
    speeds = {each.rank: each.faces_per_second for each in settings if each.faces_per_second}
    fixed = [speeds[each.rank] for each in settings if each.balancer == "fixed" and each.rank in speeds]
    if not speeds:
        return {}, "fastest"
    unit = median(fixed) if fixed else max(speeds.values())
    return {rank: unit / speed for rank, speed in speeds.items()}, "fixed" if fixed else "fastest"


def leaderboard(jobs: Jobs, settings: Sequence[Setting]) -> Table:
    """A row a setting."""
    what = repeated(jobs.varied)
    costs, unit = relative_cost(settings)
    has_single = False
    lines = []
    for each in settings:
        ready = sum(row["status"] == "ok" for row in each.jobs)
        cells = []
        for name in LEADERS:
            found = each.figures.get(name)
            is_single = bool(what) and found is not None and found.n == 1 and found.low is not None
            has_single |= is_single
            cells.append(spread_cell(found, name) + ("*" if is_single else ""))
        lines.append(
            [
                str(each.rank),
                *("–" if value is None else value for value in each.chosen.values()),
                *([f"{ready} of {len(each.jobs)}"] if what else []),
                *cells,
                number(each.faces_per_second, 0),
                number(costs.get(each.rank), 2),
            ]
        )
    headers = ["", *jobs.settings, *([what] if what else []), *(FIGURES[name][0] for name in LEADERS)]
    return Table([*headers, "faces/s", f"cost (× {unit})"], lines, _caption(settings, what, has_single, unit))


def _caption(settings: Sequence[Setting], what: str, has_single: bool, unit: str) -> str:
    faces = "95 % intervals over the faces, by bootstrap over the clusters of duplicates"
    if what:
        text = f"Means over the {what}, in brackets their 95 % t-intervals (two or more). {meaning(what)}"
        text += f" * one job: {faces}." if has_single else ""
    else:
        has_bounds = any(found.low is not None for each in settings for found in each.figures.values())
        text = f"In brackets: {faces}." if has_bounds else ""
    text += (
        f" Cost: training time a face, validation left out, against {unit}: the median job of the setting, "
        "as measured on whatever the job ran on."
    )
    return text
