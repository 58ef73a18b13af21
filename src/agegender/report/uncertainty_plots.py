"""The pictures of a report's section on uncertainty: one a task, of what there is for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from agegender.evaluation.reliability import BINS
from agegender.report.canvas import BLUE, GREY, ORANGE, new_figure, new_grid, save_figure

Row = Mapping[str, Any]
Draw = Callable[[Axes], None]

_SERIES = {"network": ("network", BLUE, "o", -0.2), "calibrated": ("calibrated", ORANGE, "s", 0.2)}
"""Label, colour, marker and where in its bin a bar stands."""
_FEW = 0.02
"""Share of the faces on which a risk is little but chance."""


def gender_uncertainty(curves: Mapping[str, Any], path: Path) -> None:
    """Accuracy against confidence, faces by confidence, errors among the surest faces."""
    reliability = curves["gender_reliability"]
    draws: list[Draw] = [partial(_reliability, reliability), partial(_counts, reliability)]
    draws.append(partial(_risk, curves["risk_coverage"]["gender"], "error rate among them"))
    _draw(draws, path)


def age_uncertainty(curves: Mapping[str, Any], levels: Sequence[Row], path: Path) -> None:
    """Coverage against level, ages below each predicted quantile, error among the surest faces.

    `levels` hold level, coverage, coverage_low, coverage_high and width. Nothing is drawn, and no file
    written, where there is none of the three.
    """
    draws: list[Draw] = []
    if levels:
        draws.append(partial(_coverage, levels))
    if "age_calibration" in curves:
        draws.append(partial(_quantiles, curves["age_calibration"]))
    if "age" in curves["risk_coverage"]:
        draws.append(partial(_risk, curves["risk_coverage"]["age"], "mean absolute error (years)"))
    if draws:
        _draw(draws, path)


def _draw(draws: Sequence[Draw], path: Path) -> None:
    if len(draws) == 1:
        figure, axis = new_figure((4.2, 3.3))
        axes = [axis]
    else:
        figure, axes = new_grid(1, len(draws), (3.5 * len(draws), 3.2))
    for draw, axis in zip(draws, axes, strict=True):
        draw(axis)
    save_figure(figure, path)


def _reliability(series: Mapping[str, Sequence[Row]], axis: Axes) -> None:
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle="--")
    for name, rows in series.items():
        label, colour, marker, _ = _SERIES[name]
        _with_bars(axis, rows, "confidence", "accuracy", colour, marker, label)
    axis.set(xlabel="confidence in the gender", ylabel="share told rightly")
    axis.set(xlim=(0.48, 1.02), ylim=(0, 1.02))
    axis.legend(frameon=False, loc="lower right", fontsize=9)


def _counts(series: Mapping[str, Sequence[Row]], axis: Axes) -> None:
    for name, rows in series.items():
        _, colour, _, side = _SERIES[name]
        places = [(row["bin"] + 0.5 + side) / BINS for row in rows]
        axis.bar(places, [row["n"] for row in rows], width=0.38 / BINS, color=colour)
    axis.set(xlabel="confidence in the gender", ylabel="faces", xlim=(0.45, 1.02))


def _risk(curve: Mapping[str, Sequence[float]], what: str, axis: Axes) -> None:
    shown = [point for point in zip(curve["answered"], curve["risk"], strict=True) if point[0] >= _FEW]
    axis.plot(*zip(*shown, strict=True), color=BLUE, linewidth=1.6)
    axis.axhline(curve["risk"][-1], color=GREY, linewidth=1.2, linestyle="--")
    top = 1.1 * max(risk for _, risk in shown) or 1.0
    axis.set(xlabel="share of faces, the surest first", ylabel=what, xlim=(0, 1.02), ylim=(0, top))


def _coverage(levels: Sequence[Row], axis: Axes) -> None:
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle="--")
    _with_bars(axis, levels, "level", "coverage", BLUE, "o", None)
    for row in levels:
        if row["width"] is not None:
            place: dict[str, Any] = {"xytext": (7, -11), "textcoords": "offset points"}
            text = f"{row['width']:.0f} y"
            axis.annotate(text, (row["level"], row["coverage"]), **place, fontsize=8, color=GREY)
    low = min([0.5, *(row["level"] for row in levels), *(row["coverage"] or 1 for row in levels)]) - 0.1
    axis.set(
        xlabel="level of the interval", ylabel="share of ages covered", xlim=(low, 1.08), ylim=(low, 1.02)
    )


def _quantiles(rows: Sequence[Row], axis: Axes) -> None:
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle="--")
    at = [row["quantile"] for row in rows]
    if rows[0]["share_low"] is not None:
        low, high = ([row[f"share_{end}"] for row in rows] for end in ("low", "high"))
        axis.fill_between(at, low, high, color=BLUE, alpha=0.25, linewidth=0)
    axis.plot(at, [row["share"] for row in rows], color=BLUE, linewidth=1.6)
    axis.set(
        xlabel="predicted quantile of the age", ylabel="share of ages below it", xlim=(0, 1), ylim=(0, 1)
    )


def _with_bars(
    axis: Axes, rows: Sequence[Row], x: str, y: str, colour: str, marker: str, label: str | None
) -> None:
    """Points with their 95 % intervals, where there are any."""
    known = [row for row in rows if row[y] is not None]
    at, values = [row[x] for row in known], [row[y] for row in known]
    axis.plot(at, values, color=colour, marker=marker, markersize=5, linewidth=1.2, label=label)
    bounded = [row for row in known if row[f"{y}_low"] is not None]
    low, high = ([row[f"{y}_{end}"] for row in bounded] for end in ("low", "high"))
    axis.vlines([row[x] for row in bounded], low, high, color=colour, linewidth=1)
