"""The pictures of a run's report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from agegender.core.types import GENDERS
from agegender.data.age_bands import age_bands, band_name
from agegender.data.manifest import age_interval, age_midpoint
from agegender.evaluation.age_figures import age_error
from agegender.report.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    Margins,
    along_epochs,
    line,
    room_for_names,
)
from agegender.report.canvas import new_figure as _figure
from agegender.report.canvas import save_figure as _save

_SQUARE, _SQUARE_MARGINS = (5, 4.4), Margins(left=0.72, right=0.7, bottom=0.52, top=0.3)
"""Of axes as high as they are wide."""

_MANY = 3000
"""Faces from which on points would hide one another."""


def task_loss(history: pd.DataFrame, task: str, path: Path, kept: int | None = None) -> None:
    """Training and validation loss of one task ("age" or "gender") over the epochs."""
    figure, axis = _figure()
    train, val = history[f"train_{task}_loss"], history[f"val_{task}_loss"]
    line(axis, history["epoch"], train, BLUE, "o", "train")
    line(axis, history["epoch"], val, ORANGE, "s", "val")
    lowest = min(train.min(), val.min())
    if lowest > 0 and max(train.max(), val.max()) > 10 * lowest:
        axis.set_yscale("log")
    axis.set(ylabel=f"{task} loss")
    axis.legend(frameon=False, fontsize=9)
    along_epochs(axis, history, kept)
    _save(figure, path)


def val_age_rmse(history: pd.DataFrame, path: Path, kept: int | None = None) -> None:
    """The validation part's age RMSE over the epochs."""
    figure, axis = _figure()
    line(axis, history["epoch"], history["val_age_rmse"], ORANGE, "s", "val")
    axis.set(ylabel="val age RMSE (years)")
    axis.set_ylim(0, 1.05 * history["val_age_rmse"].max() or 1)  # the margin of a flat curve alone is none
    along_epochs(axis, history, kept)
    _save(figure, path)


def val_gender_f1(history: pd.DataFrame, path: Path, kept: int | None = None) -> None:
    """The validation part's gender F1, and its harmonic mean with the age score, over the epochs."""
    figure, axis = _figure()
    line(axis, history["epoch"], history["val_gender_f1"], ORANGE, "s", "gender macro F1")
    if history["val_harmonic_mean"].notna().any():
        line(axis, history["epoch"], history["val_harmonic_mean"], GREEN, "^", "harmonic mean")
    axis.set(ylabel="val figure (0 to 1)", ylim=(0, 1.02))
    axis.legend(frameon=False, fontsize=9, loc="lower right")
    along_epochs(axis, history, kept)
    _save(figure, path)


def age_scatter(table: pd.DataFrame, path: Path) -> None:
    """Predicted against labelled age with the diagonal and the mean prediction; density of many faces.

    An interval is at its midpoint, and has a box in which a prediction has no error.
    """
    true = age_midpoint(table).dropna()
    predicted = table["age_pred"][true.index]
    figure, axis = _figure(_SQUARE, _SQUARE_MARGINS)
    low = min(0.0, float(predicted.min()))
    top = 1.03 * max(float(true.max()), float(predicted.max()), 1.0)
    if len(true) > _MANY:
        extent = (low, top, low, top)
        cells = axis.hexbin(
            true, predicted, gridsize=40, cmap="Blues", bins="log", mincnt=1, extent=extent, linewidths=0.2
        )
        bar = axis.inset_axes((1.03, 0, 0.035, 0.5))
        figure.colorbar(cells, cax=bar).set_label("faces in a cell", size=8, labelpad=0)
        bar.tick_params(labelsize=8)
    else:
        axis.scatter(true, predicted, s=12, alpha=0.4, color=BLUE, linewidths=0)
    for start, end in age_interval(table).dropna().drop_duplicates().itertuples(index=False):
        if start < end:
            axis.fill_between([start, end], start, end, color=GREY, alpha=0.15, linewidth=0)
    axis.plot([low, top], [low, top], color=GREY, linewidth=1.2, linestyle="--", label="no error")
    mean = mean_prediction(true, predicted)
    label = "mean of the predictions"
    axis.plot(mean["true"], mean["predicted"], "o-", color=ORANGE, markersize=3.5, linewidth=1.8, label=label)
    axis.set(xlabel="labelled age (years)", ylabel="predicted age (years)", xlim=(low, top), ylim=(low, top))
    axis.set_aspect("equal")
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    _save(figure, path)


def mean_prediction(true: pd.Series[float], predicted: pd.Series[float]) -> pd.DataFrame:
    """Means of labelled (`true`) and `predicted` age, in years, in bands of ten years, of many faces of five.

    Bands of fewer than three faces are left out.
    """
    years = 5 if len(true) > _MANY else 10
    bands = pd.DataFrame({"true": true, "predicted": predicted}).groupby(true // years)
    return bands.mean()[bands.size() >= 3]


def error_by_age(table: pd.DataFrame, path: Path) -> None:
    """Mean absolute error and bias in bands of labelled age, with the number of faces."""
    bands = error_bands(table)
    places = np.arange(len(bands))
    figure, axis = _figure((5, 1.0 + 0.38 * len(bands)), Margins(top=0.36))
    axis.barh(places, bands["mae"], color=BLUE, height=0.62, label="mean absolute error")
    label = "bias (predicted − labelled)"
    axis.plot(bands["bias"], places, "o", color=ORANGE, markeredgecolor="white", markersize=8, label=label)
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_yticks(places, [f"{band}\nn = {n:,}" for band, n in bands["n"].items()])
    axis.set(ylabel="labelled age (years)", xlabel="error (years)")
    axis.grid(False, axis="y")
    axis.grid(axis="x", color=PALE, linewidth=0.8)
    axis.tick_params(axis="y", length=0, labelsize=8)
    axis.legend(
        frameon=False, fontsize=9, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2
    )
    room_for_names(axis)
    _save(figure, path)


def error_bands(table: pd.DataFrame) -> pd.DataFrame:
    """n, mae and bias (years, predicted - labelled) of each age band that has faces.

    An interval is in the band of its midpoint; the error is the distance to it.
    """
    true = age_midpoint(table).dropna()
    known = table.loc[true.index]
    signed = age_error(age_interval(known).to_numpy(np.float64), known["age_pred"].to_numpy(np.float64))
    error = pd.Series(signed, index=true.index)
    columns = {"n": error, "mae": error.abs(), "bias": error}
    bands = pd.DataFrame(columns).groupby(age_bands(known)).agg({"n": "size", "mae": "mean", "bias": "mean"})
    return bands.rename(index=band_name)


def confusion_matrix(table: pd.DataFrame, path: Path) -> None:
    """Counts, and the share of each row, of labelled against predicted gender."""
    known = table[table["gender"].notna()]
    counts = np.array(
        [[((known["gender"] == a) & (known["gender_pred"] == b)).sum() for b in GENDERS] for a in GENDERS]
    )
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axis = _figure(_SQUARE, _SQUARE_MARGINS)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(2, 2):
        colour = "white" if share[i, j] > 0.5 else "black"
        axis.text(j, i - 0.06, f"{share[i, j]:.1%}", ha="center", va="center", color=colour, fontsize=17)
        axis.text(j, i + 0.13, f"{counts[i, j]:,} faces", ha="center", va="center", color=colour, fontsize=9)
    axis.set_xticks([0, 1], GENDERS)
    axis.set_yticks([0, 1], GENDERS, rotation=90, va="center")
    axis.tick_params(length=0)
    axis.set(xlabel="predicted gender", ylabel="labelled gender")
    axis.grid(False)
    axis.spines[:].set_visible(False)
    _save(figure, path)
