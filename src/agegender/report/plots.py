"""The pictures of a run's report. Colours are Okabe and Ito's, which colour-blind readers can tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agegender.core.files import atomic
from agegender.core.types import GENDERS
from agegender.data.manifest import age_target

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#767676"

AGE_BANDS = (0, 3, 10, 20, 30, 40, 50, 60, 70, np.inf)
"""Lower edges of the bands of the error plots, years."""

_MANY = 3000


def learning_curves(history: pd.DataFrame, path: Path) -> None:
    """Loss of each task and the validation figures over epochs, phases shaded."""
    figure, axes = _figure(1, 3, (12, 3.4))
    _curve(axes[0], history, "age_loss", "age loss (years squared)")
    axes[0].set_yscale("log")
    _curve(axes[1], history, "gender_loss", "gender loss (nats)")
    axis = axes[2]
    _line(axis, history, "val_gender_f1", BLUE, "gender macro F1")
    _line(axis, history, "val_harmonic_mean", GREEN, "harmonic mean")
    axis.set(xlabel="epoch", ylabel="validation figure", ylim=(0, 1))
    right = axis.twinx()
    _line(right, history, "val_age_rmse", ORANGE, "age RMSE (years, right)")
    right.set_ylim(bottom=0)
    handles = [*axis.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    axis.legend(handles=handles, fontsize=8, frameon=False, loc="lower right")
    for shaded in axes:
        _phases(shaded, history)
    _save(figure, path)


def age_scatter(table: pd.DataFrame, path: Path) -> None:
    """Predicted against true age with the diagonal; density where there are many faces."""
    true, predicted = age_target(table), table["age_pred"]
    known = true.notna()
    figure, (axis,) = _figure(1, 1, (5, 4.6))
    top = float(np.nanmax([true.max(), predicted.max(), 1.0])) * 1.03
    low = float(np.nanmin([0.0, predicted.min()]))
    if known.sum() > _MANY:
        cells = axis.hexbin(
            true[known], predicted[known], gridsize=45, bins="log", mincnt=1, cmap="cividis", linewidths=0.2
        )
        figure.colorbar(cells, ax=axis, label="faces")
    else:
        axis.scatter(true[known], predicted[known], s=9, alpha=0.45, color=BLUE, linewidths=0)
    axis.plot([low, top], [low, top], color=GREY, linewidth=1, linestyle="--", label="no error")
    axis.set(xlabel="true age (years)", ylabel="predicted age (years)", xlim=(low, top), ylim=(low, top))
    axis.legend(fontsize=8, frameon=False, loc="upper left")
    _save(figure, path)


def error_by_age(table: pd.DataFrame, path: Path) -> None:
    """Mean absolute error and bias in bands of true age, with the number of faces."""
    true = age_target(table)
    error = (table["age_pred"] - true)[true.notna()]
    band = np.digitize(true[true.notna()], AGE_BANDS) - 1
    grouped = error.groupby(band)
    bands = np.unique(band).tolist()
    places = np.arange(len(bands))
    figure, (axis,) = _figure(1, 1, (7, 3.6))
    axis.bar(
        places, grouped.apply(lambda e: e.abs().mean()), color=BLUE, width=0.6, label="mean absolute error"
    )
    axis.plot(
        places, grouped.mean(), color=ORANGE, marker="o", linewidth=1.2, label="bias (predicted - true)"
    )
    axis.axhline(0, color=GREY, linewidth=0.8)
    labels = [f"{_band(b)}\nn={len(grouped.get_group(b))}" for b in bands]
    axis.set_xticks(places, labels, fontsize=8)
    axis.set(xlabel="true age (years)", ylabel="years")
    axis.legend(fontsize=8, frameon=False)
    _save(figure, path)


def confusion_matrix(table: pd.DataFrame, path: Path) -> None:
    """Counts, and the share of each row, of labelled against predicted gender."""
    known = table[table["gender"].notna()]
    counts = np.array(
        [[((known["gender"] == a) & (known["gender_pred"] == b)).sum() for b in GENDERS] for a in GENDERS]
    )
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, (axis,) = _figure(1, 1, (3.8, 3.4))
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(2, 2):
        colour = "white" if share[i, j] > 0.5 else "black"
        axis.text(j, i, f"{counts[i, j]}\n{share[i, j]:.1%}", ha="center", va="center", color=colour)
    axis.set_xticks([0, 1], GENDERS)
    axis.set_yticks([0, 1], GENDERS, rotation=90, va="center")
    axis.set(xlabel="predicted", ylabel="labelled")
    for side in axis.spines.values():
        side.set_visible(False)
    _save(figure, path)


def _band(index: int) -> str:
    low, high = AGE_BANDS[index], AGE_BANDS[index + 1]
    return f"{low:.0f}+" if np.isinf(high) else f"{low:.0f}–{high - 1:.0f}"


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: list[Axes] = list(np.ravel(figure.subplots(rows, columns)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _curve(axis: Axes, history: pd.DataFrame, name: str, label: str) -> None:
    _line(axis, history, f"train_{name}", BLUE, "train")
    _line(axis, history, f"val_{name}", ORANGE, "val")
    axis.set(xlabel="epoch", ylabel=label)
    axis.legend(fontsize=8, frameon=False)


def _line(axis: Axes, history: pd.DataFrame, column: str, colour: str, label: str) -> None:
    style: dict[str, Any] = {"marker": "o", "markersize": 3} if len(history) < 25 else {}
    axis.plot(history["epoch"], history[column], color=colour, label=label, linewidth=1.4, **style)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _phases(axis: Axes, history: pd.DataFrame) -> None:
    if history["phase"].nunique() < 2:
        return
    for i, (name, rows) in enumerate(history.groupby("phase", sort=False)):
        first, last = rows["epoch"].min() - 0.5, rows["epoch"].max() + 0.5
        if i % 2 == 0:
            axis.axvspan(first, last, color="#000000", alpha=0.06, linewidth=0)
        place = (first + last) / 2
        transform = axis.get_xaxis_transform()
        axis.text(
            place, 1.01, str(name), transform=transform, ha="center", va="bottom", fontsize=8, color=GREY
        )


def _save(figure: Figure, path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
