"""Scoring a trained run on labelled faces, and telling whether it has seen them before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.config.inference import EvaluateConfig
from agegender.core.errors import UserError
from agegender.data.duplicates.clusters import NEAR_DUPLICATES, add_clusters
from agegender.engine.explanation import may_show
from agegender.engine.predict import predictions_table, write_predicted
from agegender.engine.progress import Display
from agegender.engine.read_faces import read_faces
from agegender.engine.run_directory import RunDirectory
from agegender.engine.worst import write_worst
from agegender.evaluation.calibration import Calibration
from agegender.inference.predictor import Predictor

_FITTED = ("train", "val")
"""Parts that a network was trained on or chosen by."""


def evaluate(config: EvaluateConfig, run: RunDirectory, display: Display) -> None:
    """Predict every face of the source as part `test` and write the files of a run directory.

    Raises UserError when nothing is left to judge.
    """
    run.write_config(config.to_dict())
    predictor = Predictor(config.run, config.trainer.accelerator, config.trainer.batch_size)
    size = predictor.input_spec.size
    if config.data.image_size not in (None, size):
        raise UserError(
            f"data.image_size={config.data.image_size}: the network was trained at {size} px; use null"
        )
    dataset = read_faces(config.data, None, predictor.input_spec, run, display, seed=config.seed)
    seen = _is_seen(dataset.faces, _fitted_faces(config.run, display))
    keep = ~seen if config.faces == "unseen" else np.ones(len(seen), bool)
    if seen.any():
        display.warn(
            f"{seen.sum()} of {len(seen)} faces are files or copies of those that the run was trained or "
            "chosen on; "
            + ("they are left out" if config.faces == "unseen" else "faces=unseen leaves them out")
        )
    if not keep.any():
        raise UserError("faces=unseen: the run was trained or chosen on every face of this source")
    dataset = dataset.keep(keep, note=_note(int(seen.sum()), config.faces))
    dataset.write(run.path)
    calibration = Calibration.read(config.run) if config.run.is_dir() else None
    predicted = predictor.predict(dataset.faces, dataset.samples)
    write_predicted(run.path, dataset.faces, predicted, calibration)
    if may_show(config.data, config.report):
        table = predictions_table(dataset.faces, predicted)
        write_worst(run.path, dataset.samples, np.arange(len(table)), table)
        predictor.explain(run.path, dataset)


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
