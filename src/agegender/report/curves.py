"""How training went, task by task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from agegender.report import plots
from agegender.report.page import Block, Figure, Text

COLUMNS = (
    "epoch", "phase", "step", "train_age_loss", "train_gender_loss", "val_age_loss", "val_gender_loss",
    "val_age_rmse", "val_gender_f1", "val_harmonic_mean", "weight_age", "weight_gender",
)  # fmt: skip
"""Those of history.csv that the report shows."""


def curve_blocks(folder: Path, history: pd.DataFrame, config: dict[str, Any]) -> list[Block]:
    """Losses and validation figures by epoch, drawn into `folder` as far as they are known."""
    monitor = config.get("trainer", {}).get("monitor", "harmonic_mean")
    best = _best(history, monitor)
    kept = None if best is None else int(history["epoch"][best])
    blocks: list[Block] = [Text(_summary(history, monitor, best))]

    def add(name: str, caption: str, alt: str) -> None:
        if kept is not None:
            caption += " Dotted: the epoch that is kept."
        blocks.append(Figure(folder / f"{name}.png", caption, alt))

    for task, unit, figure in (
        ("age", "in the head's own unit (regression: years squared)", "val_age_rmse"),
        ("gender", "cross-entropy, nats", "val_gender_f1"),
    ):
        if history[[f"train_{task}_loss", f"val_{task}_loss"]].notna().any(axis=None):
            plots.task_loss(history, task, folder / f"{task}_loss.png", kept)
            alt = f"Training and validation loss of {task} by epoch"
            add(f"{task}_loss", f"{task.capitalize()} loss by epoch, {unit}.", alt)
        if history[figure].notna().any():
            if task == "age":
                plots.val_age_rmse(history, folder / f"{figure}.png", kept)
                add(figure, "Age RMSE of the val part by epoch.", "Validation age RMSE by epoch")
            else:
                plots.val_gender_f1(history, folder / f"{figure}.png", kept)
                alt = "Validation gender F1 and harmonic mean by epoch"
                add(figure, "Gender F1 and harmonic mean of the val part by epoch.", alt)
    return blocks


def _best(history: pd.DataFrame, monitor: str) -> int | None:
    """The row of the best epoch; None where none was validated."""
    watched = history[f"val_{monitor}"].dropna()
    if watched.empty:
        return None
    place = watched.argmin() if monitor == "age_rmse" else watched.argmax()
    return int(watched.index[int(place)])


def _summary(history: pd.DataFrame, monitor: str, best: int | None) -> str:
    last = history.iloc[-1]
    text = f"Epochs: {len(history)}, steps: {int(last['step']):,}."
    if best is not None:
        value, epoch = history[f"val_{monitor}"][best], history["epoch"][best]
        text += f" Best val {monitor}: {value:.4g} in epoch {epoch}."
    age, gender = (last[f"weight_{task}"] * last[f"train_{task}_loss"] for task in ("age", "gender"))
    if age + gender > 0:
        text += (
            f" In the last epoch the losses were weighted {last['weight_age']:g} (age) and "
            f"{last['weight_gender']:g} (gender): age made up {age / (age + gender):.0%} of their sum."
        )
    return text
