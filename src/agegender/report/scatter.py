"""Settings as numbered points: one figure against another, a colour and marker for each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from agegender.report.canvas import COLOURS, GREY, MARKERS, Margins, set_margins
from agegender.report.jobs import Jobs
from agegender.report.leaderboard import Setting
from agegender.report.repeats import Spread, repeated

LAMBDA = "loss.lambda"

MOST_ROWS = 34
"""Rows of a legend column."""

_NARROWEST = 5.0
"""Inches that axes and their labels need beside the legend."""

_SIZE = 8
"""Points: height of the numbers."""
_AROUND = [(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1.3), (0, -1.3), (1.3, 0), (-1.3, 0)]
_HALO = withStroke(linewidth=2, foreground="white")
_RADII = (7, 12, 18)


@dataclass(frozen=True)
class Place:
    """A setting at its place; no interval where it has none."""

    setting: Setting
    x: Spread
    y: Spread


def group_of(setting: Setting) -> tuple[str | None, ...]:
    """What a setting shares with those that differ from it in lambda alone."""
    return tuple(value for key, value in setting.chosen.items() if key != LAMBDA)


def lambda_of(setting: Setting) -> float:
    try:
        return float(setting.chosen.get(LAMBDA) or "nan")
    except ValueError:
        return float("nan")


def draw_places(axis: Axes, places: Sequence[Place]) -> dict[int, Line2D]:
    """Points with their bars, those of a group joined by lambda; what a legend needs, by rank."""
    groups: dict[tuple[str | None, ...], list[Place]] = {}
    for place in sorted(places, key=lambda place: place.setting.rank):
        groups.setdefault(group_of(place.setting), []).append(place)
    handles = {}
    for i, group in enumerate(sorted(groups.values(), key=len, reverse=True)):  # a grid of lambda first
        colour, marker = _look(i)
        line = sorted(group, key=lambda place: lambda_of(place.setting))
        axis.plot([p.x.mean for p in line], [p.y.mean for p in line], color=colour, linewidth=1, alpha=0.5)
        for place in line:
            container = axis.errorbar(
                place.x.mean, place.y.mean, xerr=_arms(place.x), yerr=_arms(place.y),
                color=colour, marker=marker, markersize=6, markeredgecolor="white", markeredgewidth=0.6,
                elinewidth=0.8, linestyle="none", zorder=3,
            )  # fmt: skip
            for bar in container[2]:
                bar.set_alpha(0.3)
            handles[place.setting.rank] = Line2D([], [], color=colour, marker=marker, linestyle="none")
    return handles


def _look(i: int) -> tuple[str, str]:
    """Colour and marker of a group: the first has its colour alone, no two others share both."""
    row, column = divmod(i - 1, len(COLOURS) - 1)
    return COLOURS[column + 1] if i else COLOURS[0], MARKERS[(column + row + 1) % len(MARKERS) if i else 0]


def bars_are(jobs: Jobs, places: Sequence[Place]) -> str:
    """What points and bars stand for."""
    what = repeated(jobs.varied)
    spreads = [spread for place in places for spread in (place.x, place.y) if spread.low is not None]
    if not what:
        return "Bars: 95 % intervals over the faces, by bootstrap." if spreads else ""
    text = f"Points: means over the {what}"
    if not spreads:
        return text + "."
    text += f"; bars: 95 % t-intervals over the {what}"
    return text + (", of a single job over the faces." if any(each.n == 1 for each in spreads) else ".")


def _arms(found: Spread) -> list[list[float]] | None:
    if found.low is None or found.high is None:
        return None
    return [[max(found.mean - found.low, 0)], [max(found.high - found.mean, 0)]]


def number_places(figure: Canvas, axis: Axes, places: Sequence[Place]) -> None:
    """Each point's rank beside it, where it hides neither points nor other numbers; call it last."""
    scale = 72 / figure.dpi
    centres = [axis.transData.transform((place.x.mean, place.y.mean)) * scale for place in places]
    frame = axis.get_window_extent()
    taken = [_Box(float(x), float(y), 3.5, 3.5) for x, y in centres]
    for place, (x, y) in zip(places, centres, strict=True):
        text = str(place.setting.rank)
        half = 0.33 * _SIZE * len(text) + 1.5
        offsets = [(radius * dx, radius * dy) for radius in _RADII for dx, dy in _AROUND]
        boxes = [_Box(float(x) + dx, float(y) + dy, half, 0.42 * _SIZE) for dx, dy in offsets]
        costs = [
            sum(box.overlap(other) for other in taken)
            + box.outside(frame.x0 * scale, frame.y0 * scale, frame.x1 * scale, frame.y1 * scale)
            for box in boxes
        ]
        best = costs.index(min(costs))  # of equals the nearest
        taken.append(boxes[best])
        is_far = best >= len(_AROUND)
        axis.annotate(
            text, (place.x.mean, place.y.mean), offsets[best], textcoords="offset points",
            ha="center", va="center", fontsize=_SIZE, zorder=4, path_effects=[_HALO],
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0} if is_far else None,
        )  # fmt: skip


@dataclass(frozen=True)
class _Box:
    """A rectangle by its centre and half its sides, in points."""

    x: float
    y: float
    half_width: float
    half_height: float

    def overlap(self, other: _Box) -> float:
        width = self.half_width + other.half_width - abs(self.x - other.x)
        height = self.half_height + other.half_height - abs(self.y - other.y)
        return width * height if width > 0 and height > 0 else 0.0

    def outside(self, left: float, low: float, right: float, high: float) -> float:
        """More than any overlap where the rectangle leaves the frame."""
        fits = left <= self.x - self.half_width and self.x + self.half_width <= right
        fits &= low <= self.y - self.half_height and self.y + self.half_height <= high
        return 0.0 if fits else 1e4


def numbered_legend(
    figure: Canvas, handles: Mapping[int, Line2D], settings: Sequence[Setting], extra: Sequence[Line2D]
) -> None:
    """Beside the axes: what the numbers mean, then `extra` handles under their own labels.

    The axes give way to it, and where that leaves them too narrow the figure grows.
    """
    shown = [each for each in settings if each.rank in handles]
    columns = 1 + (len(shown) + len(extra) - 1) // MOST_ROWS
    legend = figure.legend(
        [*(handles[each.rank] for each in shown), *extra],
        [*(f"{each.rank}  {each.name}" for each in shown), *(str(line.get_label()) for line in extra)],
        title=" · ".join(settings[0].chosen),
        loc="upper right",
        borderaxespad=0.3,
        ncols=columns,
        frameon=False,
        fontsize=8,
        title_fontsize=8,
        alignment="left",
        handlelength=1.4,
        handletextpad=0.6,
        labelspacing=0.35,
    )
    beside = legend.get_window_extent().width / figure.dpi + 0.2
    figure.set_figwidth(max(figure.get_figwidth(), beside + _NARROWEST))
    set_margins(figure, Margins(right=beside))
