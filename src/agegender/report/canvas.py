"""What the pictures of all reports share.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from agegender.core.files import atomic

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"
COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""For lines side by side."""


def new_figure(size: tuple[float, float] = (5, 3.4)) -> tuple[Figure, Axes]:
    """Inches; without pyplot, whose global state would keep every figure alive."""
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def save_figure(figure: Figure, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
