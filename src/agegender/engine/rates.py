"""The course of the learning rates over a phase: a function of the position, so that nothing need be kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agegender.config.schedule import ScheduleOptions
from agegender.engine.monitor import Monitor

_RISE, _FIRST, _LAST = 0.3, 1 / 25, 1 / 250_000
"""one_cycle: the share of the phase in which rates rise, and the factors that it starts and ends with, as in
torch's OneCycleLR."""


def rate_factor(
    schedule: ScheduleOptions,
    step: int,
    steps: int,
    epoch_steps: int,
    monitor: str,
    figures: Sequence[float],
) -> float:
    """What a phase's highest rates are multiplied by in its step number `step` (from 0) of `steps`.

    `figures` are the phase's values of `monitor` so far. Cosine: Loshchilov & Hutter 2017; one_cycle: Smith &
    Topin 2019; plateau: the rates fall whenever the figure has not improved for plateau_patience epochs.
    """
    if schedule.rate == "one_cycle":
        rise = max(_RISE * steps - 1, 0.0)
        if step < rise:
            return _cosine(_FIRST, 1.0, step / rise)
        return _cosine(1.0, _LAST, (step - rise) / max(steps - 1 - rise, 1.0))
    warmup = math.ceil(schedule.warmup_epochs * epoch_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule.rate == "cosine":
        return _cosine(1.0, 0.0, (step - warmup) / (steps - warmup))
    if schedule.rate == "plateau":
        return schedule.plateau_factor ** _plateaus(figures, monitor, schedule.plateau_patience)
    return 1.0


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _plateaus(figures: Sequence[float], name: str, patience: int) -> int:
    """How often the figure has failed to improve for so many epochs on end."""
    watch, count = Monitor(name, patience), 0
    for epoch, figure in enumerate(figures, 1):
        watch.update(figure, epoch)
        if watch.should_stop:
            watch.epochs_without = 0
            count += 1
    return count
