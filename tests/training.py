"""Runs for tests of what is kept and taken up: trained through the engine, compared bit by bit."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from agegender.config.compose import composing, to_plain, validate
from agegender.config.schema import TrainConfig
from agegender.engine.progress import Display
from agegender.engine.resume import take_up
from agegender.engine.run_directory import RunDirectory, running
from agegender.engine.step import Stepper
from agegender.engine.training import finish, train

TIMES = ["seconds", "images_per_second"]


@cache
def composed(*overrides: str) -> TrainConfig:
    """The settings that these overrides mean; frozen, hence made once."""
    with composing("train") as composer:
        return validate(TrainConfig, to_plain(composer.compose(list(overrides))))


def train_in(path: Path, config: TrainConfig) -> None:
    """A run without its report."""
    run, display = RunDirectory(path), Display(quiet=True)
    with running(run):
        train(config, run, display)


def go_on(path: Path, config: TrainConfig) -> None:
    """Take a run up, to its end."""
    run, display = RunDirectory(path), Display(quiet=True)
    taken = take_up(config, run, display)
    with running(run):
        finish(taken)


@contextmanager
def striking(number: int, signals: int = 1) -> Iterator[None]:
    """Ctrl-C strikes in the middle of a step (counted over the whole run)."""
    take = Stepper.take

    def strike(*arguments: Any) -> Any:
        taken = take(*arguments)
        if arguments[4] == number:
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
        return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "take", strike)
        yield


@contextmanager
def stopped_at(number: int) -> Iterator[None]:
    """The block ends after that step."""
    with striking(number), pytest.raises(KeyboardInterrupt):
        yield


def assert_same_run(left: Path, right: Path) -> None:
    """Every bit of two finished runs: both checkpoints, predictions, history less its times."""
    first, second = (_plain(_last(run)) for run in (left, right))
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert value == second[key], key
    best = [load_file(run / "checkpoints" / "best.safetensors") for run in (left, right)]
    assert _plain(best[0]) == _plain(best[1])
    assert (left / "predictions.csv").read_bytes() == (right / "predictions.csv").read_bytes()
    one, other = (pd.read_csv(run / "history.csv", dtype=str).drop(columns=TIMES) for run in (left, right))
    pd.testing.assert_frame_equal(one, other)
    if (left / "metrics.json").exists():
        assert (left / "metrics.json").read_bytes() == (right / "metrics.json").read_bytes()


def _last(run: Path) -> dict[str, Any]:
    """What last.ckpt holds, less the times in it."""
    content: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    content["history"] = [{k: v for k, v in row.items() if k not in TIMES} for row in content["history"]]
    del content["tally"]["seconds"]
    if content["previous_best"] is not None:
        content["previous_best"] = content["previous_best"]["tensors"]
    return content


def _plain(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves by their place; tensors as their shape, type and bytes."""
    if isinstance(value, torch.Tensor):
        return {path: (tuple(value.shape), str(value.dtype), value.numpy().tobytes())}
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {path: repr(value)}
    return {name: leaf for key, item in value.items() for name, leaf in _plain(item, f"{path}/{key}").items()}
