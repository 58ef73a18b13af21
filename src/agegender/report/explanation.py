"""A few faces, and where the network looks in them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from agegender.core.errors import UserError
from agegender.data.manifest import age_midpoint
from agegender.engine.explanation import EXPLANATION
from agegender.report.canvas import BLUE, ORANGE, new_grid, save_figure
from agegender.report.page import Block, Figure

Array = npt.NDArray[np.float32]

_CAPTION = (
    "{count} faces of the {part} part, spread over the order of their ids, and where the network looks in "
    "them (Grad-CAM). Age: orange raises what it says, blue lowers it. Gender: orange speaks for what it "
    "says, blue against it.{attention} Each map has a scale of its own."
)
_ATTENTION = " Attention: orange counts for more than it would without attention, blue for less."
_ALT = "Faces above maps of what raises or lowers their predicted age and speaks for their predicted gender"
_SIGNED = LinearSegmentedColormap.from_list(
    "signed", [(0, BLUE + "e6"), (0.5, BLUE + "00"), (0.5, ORANGE + "00"), (1, ORANGE + "e6")]
)
"""Nothing at 0: there the face shows through."""
_SIZE = 1.5
"""Inches of a face."""


def explanation_blocks(run_dir: Path, table: pd.DataFrame) -> list[Block]:
    """The picture, where the run wrote its maps; `table` holds the predictions.

    Raises UserError for a damaged file.
    """
    path = run_dir / EXPLANATION
    if not path.exists():
        return []
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        faces, ids = content.pop("face"), content.pop("id")
        said = table.drop_duplicates("id").set_index("id").loc[ids]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    _draw(faces, content, _labels(said), run_dir / "plots" / "explain.png")
    attention = _ATTENTION if len(content) > 2 else ""
    caption = _CAPTION.format(count=len(ids), part=said["split"].iloc[0], attention=attention)
    return [Figure(run_dir / "plots" / "explain.png", caption, _ALT, wide=True)]


def _labels(said: pd.DataFrame) -> list[str]:
    """What is labelled, and under it what is predicted."""
    ages, genders = age_midpoint(said), said["gender"].fillna("?")
    return [
        f"{'?' if np.isnan(age) else f'{age:.0f}'}, {gender}\nsaid: {age_pred:.0f}, {gender_pred}"
        for age, gender, age_pred, gender_pred in zip(
            ages, genders, said["age_pred"], said["gender_pred"], strict=True
        )
    ]


def _draw(faces: npt.NDArray[np.uint8], maps: dict[str, Array], labels: list[str], path: Path) -> None:
    rows, columns = 1 + len(maps), len(faces)
    figure, axes = new_grid(rows, columns, (_SIZE * columns + 0.3, _SIZE * rows + 0.5))
    for column, (face, label) in enumerate(zip(faces, labels, strict=True)):
        axes[column].imshow(face)
        axes[column].set_title(label, fontsize=8)
    for row, (name, maps_NHW) in enumerate(maps.items(), start=1):
        signed_NHW = maps_NHW - 1 if "attention" in name else maps_NHW
        for axis, face, signed_HW in zip(axes[row * columns :], faces, signed_NHW, strict=False):
            _overlay(axis, face, signed_HW)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for row, name in enumerate(["face", *maps]):
        axes[row * columns].set_ylabel(name.replace(" ", "\n"), fontsize=9)
    save_figure(figure, path)


def _overlay(axis: Axes, face: npt.NDArray[np.uint8], signed_HW: Array) -> None:
    """A map over its face in pale grey: colour tells the sign, and the larger a value, the more of it."""
    height, width = face.shape[:2]
    axis.imshow(face.mean(axis=2), cmap="gray", vmin=-255, vmax=255)
    scaled_HW = signed_HW / (np.abs(signed_HW).max() or 1)
    axis.imshow(
        scaled_HW,
        cmap=_SIGNED,
        vmin=-1,
        vmax=1,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="bilinear",
        interpolation_stage="data",
    )
