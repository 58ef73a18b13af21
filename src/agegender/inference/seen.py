"""Whether a run has seen faces before: their files, or copies of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.errors import UserError
from agegender.data.dataset import Dataset
from agegender.data.duplicates.clusters import NEAR_DUPLICATES, add_clusters
from agegender.engine.progress import Display

_FITTED = ("train", "val")
"""Parts that a network was trained on or chosen by."""


def told_apart(dataset: Dataset, run: Path, faces: str, display: Display) -> Dataset:
    """The data set with a note on what the run has seen of it, and without that where `faces` is unseen.

    Raises UserError when nothing is left to judge.
    """
    seen = _is_seen(dataset.faces, _fitted_faces(run, display))
    keep = ~seen if faces == "unseen" else np.ones(len(seen), bool)
    if seen.any():
        display.warn(
            f"{seen.sum()} of {len(seen)} faces are files or copies of those that the run was trained or "
            "chosen on; " + ("they are left out" if faces == "unseen" else "faces=unseen leaves them out")
        )
    if not keep.any():
        raise UserError("faces=unseen: the run was trained or chosen on every face of this source")
    return dataset.keep(keep, note=_note(int(seen.sum()), faces))


def _is_seen(faces: pd.DataFrame, fitted: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which faces show a photo of `fitted`: the very file, or a near-duplicate of one that is still there."""
    there = fitted[[Path(path).is_file() for path in fitted["path"]]]
    both = pd.concat([faces[["path", "sha256"]], there], ignore_index=True)
    both["identity"] = pd.Series(None, index=both.index, dtype=object)
    add_clusters(both, NEAR_DUPLICATES)
    photos = both["photo"].to_numpy()
    return (
        np.isin(photos[: len(faces)], photos[len(faces) :])
        | faces["sha256"].isin(fitted["sha256"]).to_numpy()
    )


def _fitted_faces(run: Path, display: Display) -> pd.DataFrame:
    """path and sha256 of the faces that a run was trained or chosen on; none where that is not known."""
    split = (run if run.is_dir() else run.parent.parent) / "split.csv"
    if not split.is_file():
        display.warn(
            f"no {split.name} beside the checkpoint: whether the run has seen these faces is unknown"
        )
        return pd.DataFrame({"path": [], "sha256": []}, dtype=object)
    try:
        table = pd.read_csv(split, dtype=str, usecols=["path", "split", "sha256"], keep_default_na=False)
    except ValueError as error:  # pandas' own errors and UnicodeDecodeError are ValueErrors
        raise UserError(f"{split} is damaged: {' '.join(str(error).split())}") from error
    fitted = table.loc[table["split"].isin(_FITTED), ["path", "sha256"]]
    gone = sum(not Path(path).is_file() for path in fitted["path"])
    if gone:
        display.warn(
            f"{gone} of {len(fitted)} files of that run are not there any more: copies of these are not "
            "recognised, only the very files are"
        )
    return fitted


def _note(seen: int, faces: str) -> str | None:
    if not seen:
        return None
    did = "left out" if faces == "unseen" else "included, which flatters the figures"
    return f"{seen} faces are files or copies of those that the run was trained or chosen on: {did}"
