"""The best trial's experiment means the trial's settings, wherever they came from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from agegender.config.experiment_file import train_command, write_experiment
from agegender.config.preflight import parse_flags, preflight
from agegender.config.schema import TrainConfig
from agegender.config.search import Value
from agegender.config.space import Space
from agegender.core.files import read_yaml, write_yaml
from tests.tuning import groups_with, space_of

LAMBDA = {"loss.lambda": {"low": 0.1, "high": 10}}
OWN_SCHEDULE = {
    **{"optimizer": "sgd", "weight_decay": 0.0, "layer_decay": 1.0, "rate": "constant", "warmup_epochs": 0.0},
    **{"plateau_patience": 3, "plateau_factor": 0.3, "clip_norm": None, "ema": None, "patience": None},
    "phases": {"warm": {"epochs": 1, "trainable": "all", "lr": 0.1, "lr_heads": None}},
}


def _repeated(folder: Path, space: Space, values: dict[str, Value]) -> dict[str, Any]:
    """The experiment's content; the command that goes with it must mean the same settings."""
    out = folder / "out of, the way"
    out.mkdir()
    write_experiment(out, space, values, "Trial 1.\nIt was chosen.")
    name, *arguments = shlex.split(train_command(out))
    assert name == "agegender-train"
    plan = preflight("train", TrainConfig, parse_flags(arguments, sweeps=True), lambda _: None)
    assert plan.jobs[0].config == space.config(values)
    file = out / "experiment" / "best.yaml"
    assert file.read_text(encoding="utf-8").startswith("# @package _global_\n# Trial 1.\n# It was chosen.\n")
    content: dict[str, Any] = read_yaml(file)
    return content


def test_it_says_what_differs_from_the_options_alone(tmp_path: Path) -> None:
    space = space_of(tmp_path, LAMBDA, "model=scratch_cnn", "seed=3", "trainer.max_steps=5")
    content = _repeated(tmp_path, space, {"loss.lambda": 1.2345678901234567})
    assert {"override /model": "scratch_cnn"} in content.pop("defaults")
    assert content == {"seed": 3, "loss": {"lambda": 1.2345678901234567}, "trainer": {"max_steps": 5}}


def test_with_an_experiment_and_options_that_were_searched(tmp_path: Path) -> None:
    ranges = {
        "augment": {"choices": ["none", "strong"]},
        "model.dropout": {"choices": [[0.1, 0.2]]},
        "schedule.ema": {"choices": [None]},
    }
    space = space_of(tmp_path, ranges, "experiment=published/model2")
    values: dict[str, Value] = {"augment": "strong", "model.dropout": [0.1, 0.2], "schedule.ema": None}
    content = _repeated(tmp_path, space, values)
    assert {"override /augment": "strong"} in content["defaults"]
    assert "augment" not in content


def test_a_key_that_was_taken_away(tmp_path: Path) -> None:
    space = space_of(tmp_path, LAMBDA, "schedule=two_phase", "~schedule.phases.heads")
    content = _repeated(tmp_path, space, {"loss.lambda": 1.0})
    assert {"override /schedule": None} in content["defaults"]
    assert list(content["schedule"]["phases"]) == ["all"]


def test_an_option_of_the_users_own(tmp_path: Path) -> None:
    """It is written out: one --config-dir is all that Hydra takes."""
    groups = groups_with(tmp_path / "groups", {})
    (groups / "schedule").mkdir()
    write_yaml(groups / "schedule" / "mine.yaml", OWN_SCHEDULE)
    space = space_of(tmp_path, LAMBDA, "schedule=mine")
    content = _repeated(tmp_path, space, {"loss.lambda": 1.0})
    assert content["schedule"] == OWN_SCHEDULE


def test_a_data_set_with_its_paths_and_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faces.csv").touch()
    monkeypatch.chdir(tmp_path)
    space = space_of(
        tmp_path, LAMBDA, "data=csv", "data.csv=faces.csv", "data.gender_codes={0: male, 1: female}"
    )
    content = _repeated(tmp_path, space, {"loss.lambda": 1.0})
    assert content["data"] == {
        "csv": str(tmp_path / "faces.csv"),
        "gender_codes": {"0": "male", "1": "female"},
    }
