"""Scoring a trained run on labelled faces, and telling whether it has seen them before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from agegender.config.schema import EvaluateConfig
from agegender.core.errors import UserError
from agegender.engine.predict import predictions_table
from agegender.engine.progress import Display
from agegender.engine.read_faces import read_faces
from agegender.engine.run_directory import RunDirectory
from agegender.evaluation.table import write_predictions
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
    dataset = read_faces(config.data, None, size, run, display, seed=config.seed)
    seen = dataset.faces["sha256"].isin(_fitted_hashes(config.run, display)).to_numpy()
    keep = ~seen if config.faces == "unseen" else np.ones(len(seen), bool)
    if seen.any():
        display.warn(
            f"{seen.sum()} of {len(seen)} faces were among those that the run was trained or chosen on; "
            + ("they are left out" if config.faces == "unseen" else "faces=unseen leaves them out")
        )
    if not keep.any():
        raise UserError("faces=unseen: the run was trained or chosen on every face of this source")
    dataset = dataset.keep(keep, note=_note(int(seen.sum()), config.faces))
    dataset.write(run.path)
    table = predictions_table(dataset.faces, predictor.predict(dataset.faces, dataset.samples))
    write_predictions(table, run.path / "predictions.csv")


def _fitted_hashes(run: Path, display: Display) -> set[str]:
    split = (run if run.is_dir() else run.parent.parent) / "split.csv"
    if not split.is_file():
        display.warn(
            f"no {split.name} beside the checkpoint: whether the run has seen these faces is unknown"
        )
        return set()
    table = pd.read_csv(split, dtype=str)
    return set(table.loc[table["split"].isin(_FITTED), "sha256"])


def _note(seen: int, faces: str) -> str | None:
    if not seen:
        return None
    did = "left out" if faces == "unseen" else "included, which flatters the figures"
    return f"{seen} faces were among those that the run was trained or chosen on: {did}"
