"""A few faces, and where the network looks in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgb
from PIL import Image

from agegender.engine.explanation import EXPLANATION
from agegender.report.canvas import BLUE, ORANGE
from agegender.report.page import Block, Gallery
from agegender.report.photos import SIDE, Pixels, age_labels, read_photos, sized, write_photo

_CAPTION = (
    "{count} faces of the {part} part, spread over the order of their ids, and where the network looks in "
    "them (Grad-CAM). Below the face: {maps}. Age: orange raises what it says, blue lowers it. Gender: "
    "orange speaks for what it says, blue against it.{attention} Each map has a scale of its own."
)
_ATTENTION = " Attention: orange counts for more than it would without attention, blue for less."


def explanation_blocks(run_dir: Path, table: pd.DataFrame) -> list[Block]:
    """Each face above its maps, where the run wrote them; `table` holds the predictions.

    Raises UserError for a damaged file.
    """
    path = run_dir / EXPLANATION
    if not path.exists():
        return []
    maps, said = read_photos(path, table)
    faces = maps.pop("face")
    signed = {name: found - 1 if "attention" in name else found for name, found in maps.items()}
    items = []
    words = zip(
        age_labels(said), said["gender"].fillna("?"), said["age_pred"], said["gender_pred"], strict=True
    )
    for i, (age, gender, age_pred, gender_pred) in enumerate(words):
        face = sized(faces[i])
        strip = np.concatenate([face, *(_overlay(face, found[i]) for found in signed.values())])
        write_photo(run_dir / "plots" / f"explain_{i + 1}.jpg", strip)
        lines = (f"{age}, {gender}", f"said: {age_pred:.0f}, {gender_pred}")
        items.append((run_dir / "plots" / f"explain_{i + 1}.jpg", lines))
    attention = _ATTENTION if len(signed) > 2 else ""
    caption = _CAPTION.format(
        count=len(items), part=said["split"].iloc[0], maps=", ".join(signed), attention=attention
    )
    return [Gallery(items, caption)]


def _overlay(face: Pixels, signed_HW: npt.NDArray[np.float32]) -> Pixels:
    """A map over its face in pale grey: colour tells the sign, and the larger a value, the more of it."""
    scaled_HW = signed_HW / (np.abs(signed_HW).max() or 1)
    image = Image.fromarray(scaled_HW.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    value_HW1 = np.asarray(image)[..., None]
    colour_HW3 = np.where(value_HW1 > 0, to_rgb(ORANGE), to_rgb(BLUE)) * 255
    grey_HW1 = (face.mean(axis=2, keepdims=True) + 255) / 2
    share_HW1 = 0.9 * np.abs(value_HW1)
    pixels: Pixels = (grey_HW1 * (1 - share_HW1) + colour_HW3 * share_HW1).astype(np.uint8)
    return pixels
