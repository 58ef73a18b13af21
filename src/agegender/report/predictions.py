"""What was predicted against what is labelled, as pictures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agegender.data.manifest import age_interval
from agegender.report import plots
from agegender.report.page import Block, Figure


def prediction_blocks(folder: Path, judged: pd.DataFrame) -> list[Block]:
    """Ages against ages, genders against genders; drawn into `folder` as far as there are labels."""
    blocks: list[Block] = []
    ages = age_interval(judged)
    if ages["low"].notna().any():
        path = folder / "age_scatter.png"
        plots.age_scatter(judged, path)
        where = "on the dashed line"
        if (ages["low"] < ages["high"]).any():
            where += ", and in the grey boxes of intervals (each at its midpoint),"
        caption = (
            f"Predicted against labelled age; {where} there is no error. Orange: the mean prediction for "
            "faces of about that age; flatter than the dashed line, it makes the young older and the old "
            "younger."
        )
        alt = "Predicted age against labelled age, with the diagonal of no error and the mean prediction"
        blocks.append(Figure(path, caption, alt))
    if judged["gender"].notna().any():
        path = folder / "confusion_matrix.png"
        plots.confusion_matrix(judged, path)
        alt = "Confusion matrix of labelled and predicted gender"
        blocks.append(Figure(path, "Faces by labelled and predicted gender, with the share of the row.", alt))
    return blocks


def error_blocks(folder: Path, judged: pd.DataFrame) -> list[Block]:
    """The age error in bands of labelled age; nothing without ages."""
    if not age_interval(judged)["low"].notna().any():
        return []
    path = folder / "error_by_age.png"
    plots.error_by_age(judged, path)
    alt = "Bars of the mean absolute error and points of the bias for each band of labelled age"
    caption = "Age error by labelled age; n faces in each band. A bias above 0: taken for older."
    return [Figure(path, caption, alt)]
