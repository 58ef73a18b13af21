"""A command that composes to a run's settings again, and says no more than it must."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from agegender.config.compose import composing, groups, to_plain, validate
from agegender.config.inference import EvaluateConfig
from agegender.config.reproduce import command
from agegender.config.schema import TrainConfig
from agegender.core.errors import UserError


def _composed(overrides: list[str]) -> dict[str, Any]:
    with composing("train") as composer:
        return validate(TrainConfig, to_plain(composer.compose(overrides))).to_dict()


def _again(config: dict[str, Any]) -> list[str]:
    """The overrides of the command, which compose to the same settings, in the same order."""
    found = command(config)
    assert found is not None
    name, *overrides = shlex.split(found)
    assert name == "agegender-train"
    composed = _composed(overrides)
    assert composed == config
    assert list(composed["schedule"]["phases"]) == list(config["schedule"]["phases"])
    return overrides


def test_defaults_need_no_word() -> None:
    assert _again(_composed([])) == []


@pytest.mark.parametrize(
    "overrides",
    [
        ["schedule=two_phase", "schedule.phases.all.epochs=3", "loss.lambda=0.5", "seed=7"],
        ["data=utkface", "data.root='HERE/a, b (c)'", "split=random", "augment=strong"],
        ["data=kaggle_nppe1", "data.csv=HERE/x.csv", "data.columns.group=null"],
        ["data=csv", "data.csv=HERE/x.csv", "data.columns.gender=sex",
         "data.gender_codes={0: male, 1: female}"],
        ["data=mixed", "data.sources.utkface.root=HERE", "~data.sources.fairface"],
        ["schedule=two_phase", "~schedule.phases.all"],
        ["~schedule.phases.all",
         "+schedule.phases.x={epochs: 1, trainable: [heads, net.*], lr: 1e-5, lr_heads: null}",
         "+schedule.phases.all={epochs: 2, trainable: all, lr: 0.1, lr_heads: null}"],
        ["model=resnet34", "model.weights=imagenet", "attention=cbam", "balancer=dwa"],
        ["model=scratch_cnn", "age_head=bins", "report.images=true", "trainer.checkpoint_every=5min"],
    ],
)  # fmt: skip
def test_a_command_says_what_differs(overrides: list[str], tmp_path: Path) -> None:
    (tmp_path / "a, b (c)").mkdir()
    (tmp_path / "x.csv").touch()
    config = _composed([line.replace("HERE", str(tmp_path)) for line in overrides])
    assert len(_again(config)) <= len(overrides)


@pytest.mark.parametrize(
    "group", ["model", "age_head", "attention", "balancer", "augment", "schedule", "trainer"]
)
def test_every_option_is_found(group: str) -> None:
    for option in groups("train")[group]:
        lines = [f"{group}={option}"]
        if option == "timm":  # names no backbone of its own
            continue
        try:
            config = _composed(lines)
        except UserError:  # not with the default model
            continue
        assert _again(config) == ([] if config == _composed([]) else lines)


def test_an_evaluation(tmp_path: Path) -> None:
    overrides = [f"run={tmp_path}", "data=utkface", f"data.root={tmp_path}", "faces=unseen", "data.limit=50"]
    with composing("evaluate") as composer:
        config = validate(EvaluateConfig, to_plain(composer.compose(overrides)))
    found = command(config.to_dict())
    assert found is not None
    assert sorted(shlex.split(found)) == sorted(["agegender-evaluate", *overrides])


def test_components_that_are_not_ours_have_no_command() -> None:
    assert command(_composed([]) | {"model": {"name": "mine"}}) is None


def test_settings_of_an_older_version() -> None:
    config = _composed(["seed=3"])
    del config["uncertainty"], config["trainer"]["profile"]
    assert command(config) == "agegender-train seed=3"
