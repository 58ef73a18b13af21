"""What came out of a run: the headline, all parts beside the constant predictor, and what to beware of."""

from __future__ import annotations

from typing import Any

import pandas as pd

from agegender.evaluation.collapse import collapse_warnings
from agegender.report.figures import BOOTSTRAPPED, FIGURES, cell, judged_part, number
from agegender.report.page import Block, Table, Text, Tile, Tiles
from agegender.report.published import BESIDE

_HEADLINE = {"age_rmse": "years", "age_mae": "years", "gender_f1": "", "harmonic_mean": ""}
"""Figure -> its unit."""
_LABELS = {"age_rmse": "age RMSE", "age_mae": "age MAE"}
_SAME_FACES = (
    "There is no test part: the model was selected and scored on the same faces, which flatters the figures."
)
_INTERVALS = (
    "ages are labelled as intervals: their error is the distance to the interval, 0 inside, and so smaller "
    "than an error to an exact age."
)


def result_blocks(figures: dict[str, Any], judged: pd.DataFrame, dataset: dict[str, Any]) -> list[Block]:
    """`figures` are those of metrics.json, `judged` the predictions of the part that stands for the run."""
    part = judged_part(figures)
    values = figures[part]
    if values is None:
        return [
            Text("predictions.csv has neither test nor val rows: there is nothing to judge.", warning=True)
        ]
    blocks: list[Block] = [Text(text, warning=True) for text in collapse_warnings(judged)]
    if part == "val" and dataset.get("split"):
        blocks.append(Text(_SAME_FACES, warning=True))
    blocks += [_tiles(values, part), _table(figures, part)]
    if values["age_target"] != "exact":
        which = "All" if values["age_target"] == "interval" else "Some"
        blocks.append(Text(f"{which} {_INTERVALS}", warning=True))
    if min(values["n_age"], values["n_gender"]) < values["n"]:
        blocks.append(
            Text(f"Of the {part} faces {values['n_age']:,} have an age, {values['n_gender']:,} a gender.")
        )
    return blocks


def _tiles(values: dict[str, Any], part: str) -> Tiles:
    caption = f"On the {part} part, {values['n']:,} faces."
    if "age_rmse_low" in values:
        caption += " Below each figure, and as the pale bar, its 95 % interval."
    caption += (
        " Scales begin at 0; errors are better to the left, the others to the right. Models 2 and 3 are the "
        "published ones, trained and scored on other faces."
    )
    return Tiles([_tile(values, name, unit) for name, unit in _HEADLINE.items()], caption)


def _tile(values: dict[str, Any], name: str, unit: str) -> Tile:
    label, digits = FIGURES[name]
    low, high, constant = (values.get(key) for key in (f"{name}_low", f"{name}_high", f"constant_{name}"))
    beside = [] if constant is None else [("constant", constant)]
    value = values[name]
    beside += BESIDE.get(name, ())
    known = [x for x in (value, high, *(x for _, x in beside)) if x is not None]
    top = 1.05 * max(known, default=1.0) if unit else 1.0
    return Tile(_LABELS.get(name, label), value, digits, unit, low, high, top or 1.0, beside)


def _table(figures: dict[str, Any], part: str) -> Table:
    values = figures[part]
    parts = [name for name in ("test", "val") if figures[name]]
    headers = ["", *(f"{name} (n = {figures[name]['n']:,})" for name in parts), f"constant, {part}"]
    rows = [
        [
            label,
            *(cell(figures[name], key) for name in parts),
            number(values[f"constant_{key}"], digits),
        ]
        for key, (label, digits) in FIGURES.items()
        if f"constant_{key}" in values
    ]
    caption = (
        f"Constant: a predictor that answers the {part} faces' own mean age (for the MAE their median) and "
        "commonest gender."
    )
    return Table(headers, rows, f"{BOOTSTRAPPED} {caption}" if "age_rmse_low" in values else caption)
