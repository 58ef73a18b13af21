"""Several runs that answer together: on what they predicted already, or on other faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from agegender.config.inference import EvaluateConfig
from agegender.config.reproduce import OWN_FACES
from agegender.core.errors import UserError
from agegender.core.files import read_json, read_yaml
from agegender.engine.predict import predictions_table, with_columns, write_predicted
from agegender.engine.progress import Display
from agegender.engine.run_directory import RunDirectory
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.ensemble import averaged
from agegender.evaluation.paired import aligned
from agegender.evaluation.posterior import Posterior, read_posterior
from agegender.evaluation.predicted import Predicted
from agegender.evaluation.table import read_predictions
from agegender.inference.faces import read_for
from agegender.inference.own_faces import copy_dataset
from agegender.inference.predictor import Predictor, own_mode
from agegender.inference.settings import OF_A_RUN, settings_of


@dataclass(frozen=True)
class Member:
    """A run of an ensemble, and what it said of its own val, cal and test faces."""

    run: Path
    config: dict[str, Any]
    split_sha256: str
    table: pd.DataFrame
    posterior: Posterior | None


def judge_ensemble(config: EvaluateConfig, run: RunDirectory, display: Display) -> None:
    """Average what the runs say of their own faces, or of those of `data`; calibrate on their cal part.

    Raises UserError for runs that are not of one split.
    """
    assert config.ensemble is not None
    members = read_members(config.ensemble)
    answer = _answer(members)
    own = averaged([Predicted.of_table(member.table, member.posterior) for member in members], answer)
    table, predicted = with_columns(members[0].table, own), own
    calibration = Calibration.fit(table[table["split"] == "cal"], own_mode(members[0].config))
    settings = {**settings_of(config), **_shared(members)}
    run.write_config(settings)
    if config.data is None:
        run.write_config({**settings, "data": members[0].config.get("data", {}), "faces": OWN_FACES})
        named = ", ".join(str(member.run) for member in members)
        copy_dataset(
            members[0].run, run.path, f"the mean of {len(members)} runs ({named}) on their own faces"
        )
    else:
        faces, predicted = _on_other_faces(config, answer, run, display)
        table = predictions_table(faces, predicted)
    write_predicted(run.path, table, predicted.posterior, calibration)


def read_members(runs: Sequence[Path]) -> list[Member]:
    """The runs with their rows in the order of the first one's.

    Raises UserError for one without predictions, and for two of other splits, faces or labels.
    """
    first, *others = [_read(run) for run in runs]
    members = [first]
    for other in others:
        both = f"ensemble: {first.run} and {other.run}"
        if other.split_sha256 != first.split_sha256:
            raise UserError(
                f"{both} are of two splits (sha256 {first.split_sha256[:12]} and {other.split_sha256[:12]}): "
                "one may have been trained on what the other is judged by"
            )
        try:
            _, table = aligned([first.table, other.table])
        except UserError as error:
            raise UserError(f"{both}: {error}") from error
        posterior = other.posterior
        if posterior is not None:
            rows = pd.Index(other.table["id"]).get_indexer(pd.Index(table["id"]))
            posterior = Posterior(posterior.ages_A, posterior.posterior_NA[rows])
        members.append(replace(other, table=table, posterior=posterior))
    return members


def _read(run: Path) -> Member:
    try:
        sha256 = read_json(run / "dataset.json")["split_sha256"]
        config = read_yaml(run / "config.yaml")
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(
            f"ensemble: {run} is no run, or damaged: its dataset.json or config.yaml cannot be read"
        ) from error
    if not (run / "predictions.csv").is_file() or not isinstance(config, dict) or not sha256:
        raise UserError(f"ensemble: {run} holds no predictions.csv: it did not end, or is no run")
    table = read_predictions(run / "predictions.csv")
    posterior = read_posterior(table["id"].tolist(), run / "posterior.npz")
    return Member(run, config, sha256, table, posterior)


def _answer(members: Sequence[Member]) -> str:
    """The median of the posterior where that is what all of them answer, else the mean."""
    answers = {member.config.get("age_head", {}).get("decode") for member in members}
    return "median" if answers == {"median"} else "mean"


def _shared(members: Sequence[Member]) -> dict[str, Any]:
    """The settings of how they answer that all members have in common."""
    first, *others = [member.config for member in members]
    return {
        name: first[name]
        for name in OF_A_RUN
        if name in first and all(other.get(name) == first[name] for other in others)
    }


def _on_other_faces(
    config: EvaluateConfig, answer: str, run: RunDirectory, display: Display
) -> tuple[pd.DataFrame, Predicted]:
    """The faces of `data`, and the mean of what each member says of them in its own mode."""
    assert config.ensemble is not None
    said, datasets = [], {}
    for path in config.ensemble:
        predictor = Predictor(path, config.trainer.accelerator, config.trainer.batch_size)
        seen_as = (predictor.input_spec.size, predictor.input_spec.interpolation)
        if seen_as not in datasets:
            datasets[seen_as] = read_for(predictor, config, run, display)
        dataset = datasets[seen_as]
        said.append(predictor.predict(dataset.faces, dataset.samples))
    dataset.write(run.path)
    return dataset.faces, averaged(said, answer)
