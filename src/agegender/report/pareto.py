"""The picture of age against gender, with the settings that no other beats in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from agegender.evaluation.pareto import pareto_front
from agegender.report.canvas import GREY, framed, new_figure, save_figure
from agegender.report.figures import FIGURES
from agegender.report.jobs import Jobs
from agegender.report.leaderboard import SINGLE_TASK
from agegender.report.page import Figure
from agegender.report.repeats import Spread
from agegender.report.scatter import (
    LAMBDA,
    MOST_ROWS,
    Place,
    bars_are,
    draw_places,
    number_places,
    numbered_legend,
)

_MOST_NUMBERS = 60
_STYLES: dict[str, Literal["--", ":"]] = {"age_score": "--", "gender_f1": ":"}


def pareto_figure(
    path: Path, jobs: Jobs, places: Sequence[Place], single_task: Mapping[str, float]
) -> Figure:
    """`single_task` holds what either task reaches alone, as far as it was trained so."""
    front = pareto_front((place.x.mean, place.y.mean) for place in places)
    numbered = [p for p in places if len(places) <= _MOST_NUMBERS or (p.x.mean, p.y.mean) in front]
    rows = min(len(numbered) + len(single_task) + 1, MOST_ROWS)
    figure, axis = new_figure((8.5, max(5.2, 0.6 + 0.168 * rows)))
    handles = draw_places(axis, places)
    left, right, x_is_cut = _limits([place.x for place in places], single_task.get("age_score"))
    low, high, y_is_cut = _limits([place.y for place in places], single_task.get("gender_f1"))
    axis.set(xlim=(left, right), ylim=(low, high))
    for name, value in single_task.items():
        mark = axis.axvline if name == "age_score" else axis.axhline
        mark(value, color=GREY, linewidth=1.2, linestyle=_STYLES[name])
    _stairs(axis, front)
    axis.set(xlabel=f"{jobs.part} age score →", ylabel=f"{jobs.part} gender macro F1 →")
    shown = {place.setting.rank: handles[place.setting.rank] for place in numbered}
    numbered_legend(figure, shown, [place.setting for place in places], _lines(single_task))
    number_places(figure, axis, numbered)
    save_figure(figure, path)
    caption = f"Age score against gender macro F1: right and up is better. {bars_are(jobs, places)}"
    if x_is_cut or y_is_cut:
        caption += " Bars that leave the frame are cut."
    caption += " Numbers: places on the leaderboard."
    if len(numbered) < len(places):
        caption += " Only those on the front are numbered."
    if any(LAMBDA in place.setting.chosen for place in places):
        caption += " Pale lines join settings that differ in loss.lambda alone."
    caption += " The staircase: the Pareto front, settings that no other equals or beats in both figures."
    if single_task:
        caption += " Grey: what a task reaches alone."
    alt = f"{len(places)} settings by age score and gender F1 of the {jobs.part} part, and their front"
    return Figure(path, caption, alt, wide=True)


def _limits(found: Sequence[Spread], single: float | None) -> tuple[float, float, bool]:
    """Of an axis; and whether they cut a bar."""
    inner = [value.mean for value in found] + ([] if single is None else [single])
    ends = [end for value in found for end in (value.low, value.high) if end is not None]
    low, high = framed(inner, ends, top=1.0)
    return low, high, any(not low <= end <= high for end in ends)


def _stairs(axis: Axes, front: Sequence[tuple[float, float]]) -> None:
    left, bottom = axis.get_xlim()[0], axis.get_ylim()[0]
    x, y = zip((left, front[0][1]), *front, (front[-1][0], bottom), strict=True)
    axis.step(x, y, where="pre", color="black", linewidth=1.2, zorder=2)


def _lines(single_task: Mapping[str, float]) -> list[Line2D]:
    """Of the legend."""
    lines = [Line2D([], [], color="black", linewidth=1.2, label="Pareto front")]
    for balancer, name in SINGLE_TASK.items():
        if name in single_task:
            label = f"{balancer}: {FIGURES[name][0]} {single_task[name]:.3f}"
            lines.append(Line2D([], [], color=GREY, linewidth=1.2, linestyle=_STYLES[name], label=label))
    return lines
