"""The fight between the tasks, as a run's history tells it: one picture and what it comes to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from agegender.report.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Margins,
    along_epochs,
    line,
    new_grid,
    save_figure,
)
from agegender.report.page import Block, Figure, Text

_TASKS = {"age": (BLUE, "o"), "gender": (ORANGE, "s")}

_CAPTION = (
    "What each task did to the shared parameters, by epoch. Top left: what each loss was multiplied by. Top "
    "right: the loss so weighted, of which the sum is trained. Bottom left: the length of each task's "
    "gradient on the shared parameters, so weighted: who pulls harder. Bottom right: the cosine of the angle "
    "between the two gradients (1: the same direction, 0: they ignore each other, -1: they fight) and the "
    "share of steps in which it was below 0. The lower two are means over the steps that were looked at."
)


def conflict_blocks(history: pd.DataFrame, folder: Path) -> list[Block]:
    """What the gradients' angles and lengths were; nothing where no step was looked at."""
    if "grad_samples" not in history or not history["grad_samples"].sum():
        return []
    path = folder / "conflict.png"
    _draw(history, path)
    alt = "Weights, weighted losses, gradient norms and gradient cosine of both tasks by epoch"
    return [Text(_summary(history)), Figure(path, _CAPTION, alt, wide=True)]


def _summary(history: pd.DataFrame) -> str:
    samples = history["grad_samples"]
    looked_at = history[samples > 0]
    weight = looked_at["grad_samples"]
    age, gender = (float((looked_at[f"shared_grad_{task}"] * weight).sum() / weight.sum()) for task in _TASKS)
    text = f"The tasks' gradients on the shared parameters were looked at in {int(samples.sum()):,} steps. "
    if age and gender:
        stronger, weaker = ("Age", "gender") if age >= gender else ("Gender", "age")
        ratio = max(age, gender) / min(age, gender)
        text += f"{stronger} pulled {ratio:.3g} times as hard as {weaker} (mean norms, weights included). "
    else:
        text += f"Only {'age' if age else 'gender'} pulled at them. "
    angles = looked_at["grad_cosine"].notna()
    if angles.any():
        share = float((looked_at["grad_conflicts"] * weight)[angles].sum() / weight[angles].sum())
        cosine = float((looked_at["grad_cosine"] * weight)[angles].sum() / weight[angles].sum())
        text += f"In {share:.0%} of them they were in conflict (cosine below 0); "
        text += f"the mean cosine was {round(cosine, 2) + 0.0:+.2f}."
    return text


def _draw(history: pd.DataFrame, path: Path) -> None:
    figure, axes = new_grid(2, 2, (9.6, 6.4), Margins(top=0.5, between=(0.75, 0.95)))
    weights, losses, norms, angle = axes
    for task, (colour, marker) in _TASKS.items():
        weight, pulled = history[f"weight_{task}"], history[f"shared_grad_{task}"].dropna()
        line(weights, history["epoch"], weight, colour, marker, task)
        line(losses, history["epoch"], weight * history[f"train_{task}_loss"], colour, marker, task)
        line(norms, history["epoch"][pulled.index], pulled, colour, marker, task)
    for axis, title in (
        (weights, "weight of each loss"),
        (losses, "weighted training loss"),
        (norms, "norm of the weighted gradient"),
    ):
        axis.set_title(title, fontsize=10, loc="left", pad=16)
        _log_where_wide(axis)
        axis.legend(frameon=False, fontsize=9)
    angle.set_title("do the gradients agree?", fontsize=10, loc="left", pad=16)
    angle.axhline(0, color=GREY, linewidth=0.8)
    for column, colour, marker, label in (
        ("grad_cosine", GREEN, "^", "cosine, mean"),
        ("grad_conflicts", GREY, "D", "share of steps in conflict"),
    ):
        values = history[column].dropna()
        line(angle, history["epoch"][values.index], values, colour, marker, label)
    angle.set_ylim(-1.05, 1.05)
    angle.legend(frameon=False, fontsize=9)
    for axis in axes:
        along_epochs(axis, history)
    save_figure(figure, path)


def _log_where_wide(axis: Axes) -> None:
    """Logarithmic where the tasks are far apart and nothing is 0."""
    values = np.concatenate([np.asarray(drawn.get_ydata(), dtype=float) for drawn in axis.lines])
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axis.set_yscale("log")
        low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
        axis.set_ylim(0.7 * 10**low, 1.4 * 10**high)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
    else:
        axis.set_ylim(bottom=0)
