"""What the pictures of all reports share.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
