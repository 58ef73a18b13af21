"""The val, cal and test faces of a run, predicted again: in another way, on the very files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.config.compose import validate
from agegender.config.inference import DataConfig, EvaluateConfig
from agegender.config.reproduce import OWN_FACES
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import read_json, write_json
from agegender.data.interfaces import Source
from agegender.data.samples.load import Samples, load_samples
from agegender.engine.explanation import may_show
from agegender.engine.predict import predictions_table, write_predicted
from agegender.engine.progress import Display
from agegender.engine.run_directory import RunDirectory
from agegender.engine.worst import write_worst
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.table import JUDGED, read_predictions
from agegender.inference.predictor import Predictor
from agegender.inference.settings import settings_of


@dataclass(frozen=True)
class OwnFaces:
    """Rows of a run's predictions.csv, their part as `part`, and their images in the same order."""

    faces: pd.DataFrame
    samples: Samples


def judge_own_faces(config: EvaluateConfig, run: RunDirectory, display: Display) -> None:
    """Predict a run's own faces again, and calibrate on its cal part.

    Raises UserError where they are not there any more.
    """
    assert config.run is not None
    trainer = config.trainer
    predictor = Predictor(config.run, trainer.accelerator, trainer.batch_size, config.uncertainty)
    data = predictor.checkpoint.config["data"]
    run.write_config({**settings_of(config, predictor), "data": data, "faces": OWN_FACES})
    own = own_faces(predictor, JUDGED, display)
    copy_dataset(config.run, run.path, f"the val, cal and test faces of {config.run}, predicted again")
    predicted = predictor.predict(own.faces, own.samples)
    table = predictions_table(own.faces, predicted)
    calibration = Calibration.fit(table[table["split"] == "cal"], predictor.mode)
    write_predicted(run.path, table, predicted.posterior, calibration)
    if may_show(data["name"], config.report):
        predictor.explain(run.path, own.faces, own.samples)
        write_worst(run.path, own.samples, np.arange(len(table)), table)


def own_faces(predictor: Predictor, parts: Sequence[str], display: Display) -> OwnFaces:
    """Faces of these parts of the predictor's run.

    A file that is gone is looked for where the run's data source has that face now; drawn ones are drawn
    again. Raises UserError for files that are gone or have changed, and for a run that has no such faces.
    """
    run = predictor.run
    table = _listed(run)
    faces = table[table["split"].isin(parts)].rename(columns={"split": "part"}).reset_index(drop=True)
    faces["split"] = None
    if not len(faces):
        raise UserError(f"{run} has no {' or '.join(parts)} faces")
    data = predictor.checkpoint.config["data"]
    faces = _found_again(faces, data)
    gone = faces.loc[_is_gone(faces), "path"]
    if len(gone):
        raise UserError(
            f"{len(gone)} of {len(faces)} files of {run} are not there any more, e.g. {gone.iloc[0]}"
        )
    spec = predictor.input_spec
    with display.counting() as progress:
        loaded = load_samples(
            faces.drop(columns="sha256"), spec.size, data["cache"], progress, spec.interpolation
        )
    before = faces.set_index("id")["sha256"].loc[loaded.faces["id"]].to_numpy()
    same = int((before == loaded.faces["sha256"].to_numpy()).sum())
    if same < len(faces):
        raise UserError(f"{len(faces) - same} of {len(faces)} files of {run} have changed since it ran")
    return OwnFaces(loaded.faces, loaded.samples)


def copy_dataset(source: Path, directory: Path, judged: str) -> None:
    """What is known of a run's faces and their split, with a note on what is judged of them here."""
    shutil.copy(source / "split.csv", directory)
    dataset = read_json(source / "dataset.json")
    write_json(
        directory / "dataset.json", {**dataset, "notes": [*dataset.get("notes", []), f"judged: {judged}"]}
    )


def _listed(run: Path) -> pd.DataFrame:
    """The predicted faces of a run with the sha256 of each file."""
    for name in ("predictions.csv", "split.csv", "dataset.json"):
        if not (run / name).is_file():
            raise UserError(f"{run} holds no {name}, so that its own faces are not known")
    split = run / "split.csv"
    try:
        sha256 = pd.read_csv(split, dtype=str, usecols=["id", "sha256"], keep_default_na=False)
        return read_predictions(run / "predictions.csv").merge(sha256, on="id", validate="one_to_one")
    except ValueError as error:  # pandas' own errors and UnicodeDecodeError are ValueErrors
        raise UserError(f"{split} is damaged: {' '.join(str(error).split())}") from error


def _found_again(faces: pd.DataFrame, data: dict[str, Any]) -> pd.DataFrame:
    """The faces with the source's path for those whose file is gone, where it knows their ids."""
    if not _is_gone(faces).any():
        return faces
    try:
        source: Source = registry.build("data", validate(DataConfig, {"data": data}).data)
        listed = source.read().faces
    except UserError:  # its folder is gone, too
        return faces
    wanted = listed[listed["id"].isin(faces.loc[_is_gone(faces), "id"])]
    source.prepare_files(wanted)
    moved = dict(zip(wanted["id"], wanted["path"], strict=True))
    return faces.assign(path=[moved.get(*row) for row in zip(faces["id"], faces["path"], strict=True)])


def _is_gone(faces: pd.DataFrame) -> pd.Series[bool]:
    return ~faces["path"].map(lambda path: Path(str(path)).is_file())
