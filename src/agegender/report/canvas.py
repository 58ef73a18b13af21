"""What the pictures of all reports share.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agegender.core.files import atomic

BLUE, ORANGE, GREEN, GREY, PALE = "#0072b2", "#d55e00", "#009e73", "#666666", "#e4e7ea"
COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""For lines side by side."""
MARKERS = "os^Dv<>"


@dataclass(frozen=True)
class Margins:
    """Inches around the axes: the same for neighbouring pictures, so that their axes line up.

    Set, not found by a layout engine, which takes as long as the drawing itself.
    """

    left: float = 0.78
    right: float = 0.15
    bottom: float = 0.52
    top: float = 0.3
    between: tuple[float, float] = (0.78, 0.75)
    """From one column, and one row, of axes to the next."""


def new_figure(size: tuple[float, float] = (5, 3.4), margins: Margins | None = None) -> tuple[Figure, Axes]:
    """Inches; without pyplot, whose global state would keep every figure alive."""
    figure, (axis,) = new_grid(1, 1, size, margins)
    return figure, axis


def new_grid(
    rows: int, columns: int, size: tuple[float, float], margins: Margins | None = None
) -> tuple[Figure, list[Axes]]:
    """Several axes in one picture, row by row."""
    figure = Figure(figsize=size, dpi=150)
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    set_margins(figure, margins or Margins(), rows, columns)
    for axis in axes:
        _plain(axis)
    return figure, axes


def set_margins(figure: Figure, margins: Margins, rows: int = 1, columns: int = 1) -> None:
    width, height = figure.get_size_inches()
    (across, down), inner = (
        margins.between,
        (width - margins.left - margins.right, height - margins.bottom - margins.top),
    )
    figure.subplots_adjust(
        left=margins.left / width,
        right=1 - margins.right / width,
        bottom=margins.bottom / height,
        top=1 - margins.top / height,
        wspace=across * columns / (inner[0] - across * (columns - 1)),
        hspace=down * rows / (inner[1] - down * (rows - 1)),
    )


def room_for_names(axis: Axes) -> None:
    """Widen the left margin to what the labels of the y axis need; for names, whose length varies."""
    figure = axis.figure
    assert isinstance(figure, Figure)
    inches = (
        max((label.get_window_extent().width for label in axis.get_yticklabels()), default=0) / figure.dpi
    )
    figure.subplots_adjust(left=(inches + 0.42) / figure.get_figwidth())


def _plain(axis: Axes) -> None:
    """Pale lines behind the data, nothing at the top and the right."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(GREY)
    axis.tick_params(labelsize=9, color=GREY)
    axis.xaxis.label.set_fontsize(9.5)
    axis.yaxis.label.set_fontsize(9.5)
    axis.set_axisbelow(True)
    axis.grid(axis="y", color=PALE, linewidth=0.8)


def framed(inner: Sequence[float], bars: Sequence[float], top: float | None) -> tuple[float, float]:
    """Limits around the points: a few seeds can have bars so long that the points would fall together.

    `bars` are ends of bars, which may be cut; the figure knows no value above `top`, none below 0.
    """
    span = max(inner) - min(inner) or 0.1 * abs(max(inner)) or 1.0
    low = max(min([*inner, *bars]), min(inner) - 1.5 * span)
    high = min(max([*inner, *bars]), max(inner) + 1.5 * span)
    margin = 0.06 * (high - low) or 0.1 * span  # nothing differs
    high = high + margin if top is None else min(high + margin, 1.02 * top)
    return max(low - margin, -0.02 * high), high


def save_figure(figure: Figure, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def line(axis: Axes, x: pd.Series[int], y: pd.Series[float], colour: str, marker: str, label: str) -> None:
    """Against the epochs; markers only where they would not touch."""
    shown = marker if len(x) <= 30 else ""
    axis.plot(x, y, color=colour, marker=shown, markersize=4, linewidth=1.4, label=label)


def along_epochs(axis: Axes, history: pd.DataFrame, kept: int | None = None) -> None:
    """Whole epochs along the axis, the one that is `kept` marked.

    Several phases are named above it and every second one shaded.
    """
    first, last = history["epoch"].min(), history["epoch"].max()
    axis.set(xlabel="epoch", xlim=(first - 0.5, last + 0.5))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if kept is not None:
        axis.axvline(kept, color=GREY, linewidth=1, linestyle=":", zorder=1)
    phases = history.groupby("phase", sort=False)["epoch"]
    if len(phases) < 2:
        return
    for i, (name, epochs) in enumerate(phases):
        start, end = epochs.min() - 0.5, epochs.max() + 0.5
        if i % 2 == 0:
            axis.axvspan(start, end, color="black", alpha=0.06, linewidth=0, zorder=0)
        place = {"x": (start + end) / 2, "y": 1.01, "transform": axis.get_xaxis_transform()}
        axis.text(s=str(name), ha="center", va="bottom", fontsize=8, color=GREY, **place)
