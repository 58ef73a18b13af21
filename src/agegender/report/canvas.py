"""What the pictures of all reports share.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agegender.core.files import atomic

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"
COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""For lines side by side."""
MARKERS = "os^Dv<>"


def new_figure(size: tuple[float, float] = (5, 3.4)) -> tuple[Figure, Axes]:
    """Inches; without pyplot, whose global state would keep every figure alive."""
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def new_grid(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Several axes in one picture, row by row."""
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


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


def along_epochs(axis: Axes, history: pd.DataFrame) -> None:
    """Whole epochs along the axis; several phases are named above it and every second one shaded."""
    first, last = history["epoch"].min(), history["epoch"].max()
    axis.set(xlabel="epoch", xlim=(first - 0.5, last + 0.5))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    phases = history.groupby("phase", sort=False)["epoch"]
    if len(phases) < 2:
        return
    for i, (name, epochs) in enumerate(phases):
        start, end = epochs.min() - 0.5, epochs.max() + 0.5
        if i % 2 == 0:
            axis.axvspan(start, end, color="black", alpha=0.06, linewidth=0)
        place = {"x": (start + end) / 2, "y": 1.01, "transform": axis.get_xaxis_transform()}
        axis.text(s=str(name), ha="center", va="bottom", fontsize=8, color=GREY, **place)
