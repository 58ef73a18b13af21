"""The course of the learning rates, against torch's own schedulers."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from agegender.core.errors import UserError
from agegender.engine.rates import rate_factor

from ..training import composed

STEPS, EPOCH = 60, 10


def _factors(*overrides: str, figures: tuple[float, ...] = ()) -> list[float]:
    schedule = composed(*(f"schedule.{override}" for override in overrides)).schedule
    return [
        rate_factor(schedule, step, STEPS, EPOCH, "age_rmse", figures[: step // EPOCH])
        for step in range(STEPS)
    ]


def _torchs(make: Any, epochs: int = STEPS) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make(optimizer), []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer takes no step here
            scheduler.step()
    return rates


def test_constant_is_constant() -> None:
    assert _factors() == [1.0] * STEPS


def test_cosine_is_torchs() -> None:
    assert _factors("rate=cosine") == pytest.approx(
        _torchs(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS)), abs=1e-9
    )


def test_one_cycle_is_torchs() -> None:
    theirs = _torchs(lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 1.0, STEPS), STEPS - 1)
    assert _factors("rate=one_cycle")[:-1] == pytest.approx(theirs, abs=1e-9)


def test_one_cycle_of_a_step_or_a_few() -> None:
    schedule = composed("schedule.rate=one_cycle").schedule
    for steps in range(1, 8):
        factors = [rate_factor(schedule, step, steps, steps, "age_rmse", []) for step in range(steps)]
        assert all(0 < factor <= 1 for factor in factors)


def test_plateau_is_torchs() -> None:
    figures = (9.0, 8.0, 8.5, 8.1, 8.2, 7.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # torch counts the bad epochs that are borne, we those after which the rates fall
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=0.0)
    rates = []
    for figure in figures:
        rates += [optimizer.param_groups[0]["lr"]] * EPOCH
        scheduler.step(figure)
    ours = _factors("rate=plateau", "plateau_patience=2", "plateau_factor=0.5", figures=figures)
    assert ours == pytest.approx(rates)
    assert set(ours) == {1.0, 0.5}


@pytest.mark.parametrize("rate", ["constant", "cosine"])
def test_warm_up_rises_to_the_top_in_even_steps(rate: str) -> None:
    factors = _factors(f"rate={rate}", "warmup_epochs=1.5")
    assert factors[:15] == pytest.approx([(step + 1) / 16 for step in range(15)])
    assert factors[15] == 1
    assert max(factors) == 1


def test_what_does_not_go_together() -> None:
    with pytest.raises(UserError, match="one_cycle has a warm-up of its own"):
        composed("schedule.rate=one_cycle", "schedule.warmup_epochs=1")
    with pytest.raises(UserError, match="warmup_epochs"):
        composed("schedule.warmup_epochs=2", "schedule.phases.all.epochs=2")
