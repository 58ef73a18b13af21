"""Faces that a run has kept for its report, and how they come into it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from agegender.core.errors import UserError
from agegender.core.files import atomic
from agegender.data.manifest import age_interval

Pixels = npt.NDArray[np.uint8]

SIDE = 160
"""Pixels of a face on the page."""


def read_photos(path: Path, table: pd.DataFrame) -> tuple[dict[str, npt.NDArray[np.generic]], pd.DataFrame]:
    """The arrays of an .npz file, and the rows of the predictions `table` that belong to its `id`.

    Raises UserError for a damaged file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        said = table.drop_duplicates("id").set_index("id").loc[content.pop("id")]
        if len(content["face"]) != len(said):
            raise ValueError("ids and faces differ in number")
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    return content, said


def sized(face: Pixels) -> Pixels:
    """(SIDE, SIDE, 3) of a square face."""
    return np.asarray(Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def write_photo(path: Path, pixels: Pixels) -> None:
    """As JPEG."""
    path.parent.mkdir(exist_ok=True)
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="JPEG", quality=88)


def age_labels(said: pd.DataFrame) -> list[str]:
    """The labelled ages in whole years; a question mark where there is none."""
    return [
        "?" if np.isnan(low) else f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
        for low, high in age_interval(said).itertuples(index=False)
    ]
