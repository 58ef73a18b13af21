"""The pictures of a search: the figure trial by trial, and against each key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from agegender.report.canvas import BLUE, GREY, ORANGE, new_figure, room_for_names, save_figure
from agegender.report.page import Figure
from agegender.report.trials import Search, Trial

_LEGEND = "Orange: the best complete trial."
_PRUNED = "Rings: pruned trials, with the best of the epochs that they had."
_FEW = 6
"""Values of a key that are all marked on its axis."""


def search_figures(folder: Path, search: Search) -> list[Figure]:
    """Draw history.png and one picture a key into `folder`; nothing before a trial has a figure."""
    trials = [trial for trial in search.trials if trial.figure is not None and trial.state != "failed"]
    if not trials:
        return []
    has_pruned = any(trial.state == "pruned" for trial in trials)
    note = f" {_LEGEND} {_PRUNED}" if has_pruned else f" {_LEGEND}"
    path = folder / "history.png"
    _history(path, trials, search)
    figures = [
        Figure(
            path,
            f"{search.heading} of each trial, in its best epoch; the line is the best so far.{note}",
            f"{search.heading} by trial",
        )
    ]
    for key in search.keys:
        path = folder / f"{re.sub(r'[^a-zA-Z0-9_.-]', '_', key)}.png"
        _against(path, trials, search, key)
        caption = f"{search.heading} against {key}; the other keys differ as well.{note}"
        figures.append(Figure(path, caption, f"{search.heading} against {key}"))
    return figures


def _history(path: Path, trials: Sequence[Trial], search: Search) -> None:
    figure, axis = new_figure()
    _points(axis, trials, [trial.number for trial in trials], search)
    best: list[float] = []
    done = [trial for trial in trials if trial.state == "complete"]
    pick = min if search.smaller_is_better else max
    for value in (trial.figure for trial in done if trial.figure is not None):
        best.append(pick([*best[-1:], value]))
    if done:
        numbers = [*(trial.number for trial in done), trials[-1].number]
        axis.step(numbers, [*best, best[-1]], where="post", color=ORANGE, linewidth=1.4, zorder=1)
    axis.set(xlabel="trial", ylabel=search.label)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    room_for_names(axis)  # figures that hardly differ have long numbers
    save_figure(figure, path)


def _against(path: Path, trials: Sequence[Trial], search: Search, key: str) -> None:
    figure, axis = new_figure()
    values = [trial.chosen.get(key) for trial in trials]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values):
        _points(axis, trials, numbers, search)
        is_log = min(numbers) > 0 and max(numbers) > 10 * min(numbers)
        if is_log:
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=8))
            axis.xaxis.set_major_formatter("{x:.2g}")
            axis.xaxis.set_minor_formatter(NullFormatter())  # ten of them in a decade run into one another
        elif len(set(numbers)) <= _FEW:
            axis.set_xticks(sorted(set(numbers)))
        axis.set_xlabel(key + (" (log axis)" if is_log else ""))
    else:
        names = sorted({str(value) for value in values})
        _points(axis, trials, [names.index(str(value)) for value in values], search)
        axis.set_xticks(range(len(names)), names)
        axis.set(xlabel=key, xlim=(-0.5, len(names) - 0.5))
    axis.set_ylabel(search.label)
    room_for_names(axis)  # figures that hardly differ have long numbers
    save_figure(figure, path)


def _points(axis: Axes, trials: Sequence[Trial], places: Sequence[float], search: Search) -> None:
    """A dot a complete trial, the best in another colour, a ring a pruned one."""
    best = search.best
    for trial, place in zip(trials, places, strict=True):
        assert trial.figure is not None  # search_figures leaves out the others
        is_best = best is not None and trial.number == best.number
        colour = ORANGE if is_best else BLUE if trial.state == "complete" else GREY
        face = "none" if trial.state == "pruned" else colour
        axis.plot(
            place, trial.figure, "o", color=colour, markerfacecolor=face, markersize=7 if is_best else 5,
            alpha=1.0 if is_best else 0.8, zorder=3 if is_best else 2,
        )  # fmt: skip
