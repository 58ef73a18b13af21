"""The faces that the network is most wrong about."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agegender.engine.worst import WORST
from agegender.report.page import Block, Gallery
from agegender.report.photos import age_labels, read_photos, sized, write_photo

_CAPTIONS = {
    "age": "The largest age errors. Wrong labels and badly cut faces gather here, beside what is hard.",
    "gender": "Of the faces whose predicted gender is not the labelled one, those it is surest of.",
}


def worst_blocks(run_dir: Path, table: pd.DataFrame) -> list[Block]:
    """A gallery a task, where the run may show faces; `table` holds the predictions.

    Raises UserError for a damaged file.
    """
    path = run_dir / WORST
    if not path.exists():
        return []
    content, said = read_photos(path, table)
    words = {
        "age": [
            (f"labelled {age}", f"predicted {predicted:.0f}")
            for age, predicted in zip(age_labels(said), said["age_pred"], strict=True)
        ],
        "gender": [
            (f"labelled {gender}", f"P(female) {prob:.2f}")
            for gender, prob in zip(said["gender"], said["gender_prob"], strict=True)
        ],
    }
    blocks: list[Block] = []
    for task, caption in _CAPTIONS.items():
        items: list[tuple[Path, tuple[str, str]]] = []
        for i in (content["task"] == task).nonzero()[0]:
            photo = run_dir / "plots" / f"worst_{task}_{len(items) + 1}.jpg"
            write_photo(photo, sized(content["face"][i]))
            items.append((photo, words[task][i]))
        if items:
            blocks.append(Gallery(items, caption))
    return blocks
