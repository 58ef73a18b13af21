"""The pictures of a sweep: its figures along the key that was swept, a line for each other setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator
from matplotlib.transforms import offset_copy

from agegender.report.canvas import COLOURS, GREY, MARKERS, Margins, framed, new_figure, save_figure
from agegender.report.page import Figure
from agegender.report.repeats import FIGURES, REPEATS, Row, figure_values, grouped, repeated, spread

_DRAWN = ("age_rmse", "gender_f1", "harmonic_mean")
_STYLES = ("-", ":", "-.")
_MANY_TICKS = 15


@dataclass(frozen=True)
class Point:
    """A figure at one value of the swept key; `single` holds the repeats behind a mean."""

    x: float
    y: float
    low: float | None
    high: float | None
    single: tuple[float, ...]


Lines = dict[tuple[str | None, ...], list[Point]]


def sweep_figures(
    folder: Path, rows: Sequence[Row], varied: Sequence[str], part: str, constants: dict[str, float | None]
) -> list[Figure]:
    """Draw age RMSE, gender F1 and harmonic mean into `folder` along the swept numeric key.

    `constants` holds the constant predictor's figures, None where the jobs do not agree on them. Without
    a numeric key, or before a job is done, there is no picture.
    """
    key = swept_key(rows, varied)
    if key is None:
        return []
    others = [name for name in varied if name != key and name not in REPEATS]
    what = repeated(varied)
    figures = []
    for name in _DRAWN:
        lines = {
            chosen: points
            for chosen, group in grouped(rows, others).items()
            if (points := _points(group, key, part, name, bool(what)))
        }
        if not lines:
            continue
        singles = [chosen for chosen, points in lines.items() if len(points) == 1]
        has_left_out = 0 < len(singles) < len(lines)  # points without a line say nothing about the key
        for chosen in singles if has_left_out else ():
            del lines[chosen]
        path = folder / f"{name}.png"
        constant = constants.get(name)
        is_cut = _draw(path, lines, key, others, FIGURES[name], part, constant)
        done, label = len(figure_values(rows, part, name)), FIGURES[name]
        caption = f"{label[0].upper()}{label[1:]} of the {part} part by {key}, {done} of {len(rows)} jobs."
        caption += _legend_words(lines, what, is_cut)
        if constant is not None:
            caption += " Dashed: the constant predictor."
        if has_left_out:
            caption += f" Settings with one value of {key} are left out."
        figures.append(Figure(path, caption, f"{FIGURES[name]} of the {part} part against {key}"))
    return figures


def swept_key(rows: Sequence[Row], varied: Sequence[str]) -> str | None:
    """The varied key along which to draw: all its values are numbers; of several the one with the most."""
    candidates = [key for key in varied if key not in REPEATS]
    numeric = [key for key in candidates if all(_number(row[key]) is not None for row in rows)]
    return max(numeric, key=lambda key: len({_number(row[key]) for row in rows}), default=None)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _points(group: Sequence[Row], key: str, part: str, name: str, is_mean: bool) -> list[Point]:
    """The finished jobs of one line, from left to right."""
    places: dict[float, list[Row]] = {}
    for row in group:
        place = _number(row[key])
        assert place is not None
        places.setdefault(place, []).append(row)
    points = []
    for x, jobs in sorted(places.items()):
        values = figure_values(jobs, part, name)
        found = spread(values)
        if found is None:
            continue
        low, high = found.low, found.high
        if not is_mean:
            (job,) = [row for row in jobs if row["status"] == "ok" and row[f"{part}_{name}"] is not None][-1:]
            low, high = job.get(f"{part}_{name}_low"), job.get(f"{part}_{name}_high")
        points.append(Point(x, found.mean, low, high, tuple(values) if is_mean else ()))
    return points


def _legend_words(lines: Lines, what: str, is_cut: bool) -> str:
    """What points and bars are."""
    points = [point for line in lines.values() for point in line]
    text = ""
    if what:
        counts = {len(point.single) for point in points}
        n = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
        text = f" Points: means over {what} (n = {n} a point); pale dots beside them: the single {what}."
        if max(counts) > 1:
            text += f" Bars: 95 % t-intervals over the {what}."
    elif any(point.low is not None for point in points):
        text = " Bars: 95 % intervals, by bootstrap over the clusters of duplicates."
    return text + (" Bars that leave the frame are cut." if is_cut else "")


def _draw(
    path: Path,
    lines: Lines,
    key: str,
    others: Sequence[str],
    label: str,
    part: str,
    constant: float | None,
) -> bool:
    """Returns whether the frame cuts a bar."""
    names = [" · ".join("–" if value is None else value for value in chosen) for chosen in lines]
    columns = max(1, 64 // (max(map(len, [*names, "constant predictor"])) + 8))
    has_legend = bool(others) or constant is not None
    rows = math.ceil((len(lines) + (constant is not None)) / columns) + bool(others) if has_legend else 0
    top = 0.2 + 0.165 * rows
    figure, axis = new_figure((5, 3.1 + top), Margins(top=top))
    values = sorted({point.x for points in lines.values() for point in points})
    scale = _scale(axis, values)  # before the lines, whose shift is of the axis as it will be
    for i, (name, points) in enumerate(zip(names, lines.values(), strict=True)):
        shift = 0.0 if len(lines) == 1 else 12 * (i / (len(lines) - 1) - 0.5)
        _line(figure, axis, points, i, shift, name)
    if constant is not None:
        axis.axhline(constant, color=GREY, linewidth=1.2, linestyle="--", label="constant predictor")
    axis.set(xlabel=key + (f" ({scale} axis)" if scale != "linear" else ""), ylabel=f"{part} {label}")
    is_cut = _frame(axis, lines, constant, top=None if "years" in label else 1.0)
    if has_legend:
        _legend(figure, axis, others, columns)
    _ticks(figure, axis, values)
    save_figure(figure, path)
    return is_cut


def _line(figure: Canvas, axis: Axes, points: list[Point], i: int, shift: float, label: str) -> None:
    """One setting; lines side by side are shifted a little, so that their bars do not hide one another."""
    colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
    place = offset_copy(axis.transData, figure, x=shift, units="points")
    beside = offset_copy(axis.transData, figure, x=shift + 3.5, units="points")
    for point in points:
        axis.plot(
            [point.x] * len(point.single), point.single, "o", color=colour, alpha=0.45, markersize=3,
            markeredgewidth=0, transform=beside,
        )  # fmt: skip
    axis.errorbar(
        [point.x for point in points],
        [point.y for point in points],
        yerr=[
            [0 if point.low is None else max(point.y - point.low, 0) for point in points],
            [0 if point.high is None else max(point.high - point.y, 0) for point in points],
        ],
        color=colour,
        marker=marker,
        markersize=4.5,
        linestyle=_STYLES[i // len(COLOURS) % len(_STYLES)],
        linewidth=1.4,
        elinewidth=1,
        capsize=2.5,
        label=label,
        transform=place,
    )


def _scale(axis: Axes, values: Sequence[float]) -> str:
    """A log axis for values that span more than a factor of ten; where 0 is among them, symlog."""
    positive = [value for value in values if value > 0]
    scale = "linear"
    if min(values) >= 0 and positive and max(values) > 10 * min(positive):
        scale = "log" if min(values) > 0 else "symlog"
        axis.set_xscale(scale, **({"linthresh": min(positive), "linscale": 0.5} if scale == "symlog" else {}))
    transform = axis.xaxis.get_transform()
    low, high = transform.transform([min(values), max(values)])
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    axis.set_xlim(*transform.inverted().transform([low - margin, high + margin]))
    return scale


def _frame(axis: Axes, lines: Lines, constant: float | None, top: float | None) -> bool:
    """Returns whether a bar is cut."""
    points = [point for line in lines.values() for point in line]
    inner = [y for point in points for y in (point.y, *point.single)]
    bars = [y for point in points for y in (point.low, point.high) if y is not None]
    low, high = framed([*inner, *([] if constant is None else [constant])], bars, top)
    axis.set_ylim(low, high)
    return any(not low <= y <= high for y in bars)


def _legend(figure: Canvas, axis: Axes, others: Sequence[str], columns: int) -> None:
    """Above the axes, where no point can be hidden."""
    handles, labels = axis.get_legend_handles_labels()
    if labels[0] == "constant predictor":  # matplotlib lists lines before bars
        handles, labels = [*handles[1:], handles[0]], [*labels[1:], labels[0]]
    figure.legend(
        handles,
        labels,
        title=" · ".join(others) or None,
        loc="upper center",
        borderaxespad=0.2,
        ncols=min(len(labels), columns),
        frameon=False,
        fontsize=8,
        title_fontsize=8,
    )


def _ticks(figure: Canvas, axis: Axes, values: Sequence[float]) -> None:
    """The swept values themselves as ticks, as many of them labelled as have room."""
    if len(values) > _MANY_TICKS:
        return
    labels, taken = [], -math.inf
    for value in values:
        text = f"{value:g}"
        centre = axis.transData.transform((value, 0))[0] * 72 / figure.dpi
        half = 3.2 * len(text) + 1.5
        has_room = centre - half > taken
        labels.append(text if has_room else "")
        taken = centre + half if has_room else taken
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(values, labels)
