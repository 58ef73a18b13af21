"""Optuna's side of a search: where it is stored, how values are drawn, when a trial is pruned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from agegender.config.search import Choices, Span, TuneConfig, Value
from agegender.core.errors import UserError
from agegender.core.seeding import stream
from agegender.engine.monitor import SMALLER_IS_BETTER

STORAGE = "tune.journal"
_NAME = "agegender"


class _NoLock(JournalFileOpenLock):
    """The search holds a lock of its own; Optuna's would outlive a killed process."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        """There is nothing to release."""


def open_study(directory: Path, monitor: str) -> optuna.Study:
    """The search as it was left, or a new one; trials that no process finished are failed.

    Raises UserError where the storage is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = directory / STORAGE
    _cut_half_a_line(path)
    try:
        storage = JournalStorage(JournalFileBackend(str(path), lock_obj=_NoLock(str(path))))
        study = optuna.create_study(
            storage=storage,
            study_name=_NAME,
            direction="minimize" if monitor in SMALLER_IS_BETTER else "maximize",
            load_if_exists=True,
        )
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    return study


def _cut_half_a_line(path: Path) -> None:
    """A line that a killed process had begun is not there: Optuna would stumble over the next one."""
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        with path.open("r+b") as file:
            file.truncate(len(whole))


def counts(trial: FrozenTrial) -> bool:
    """Whether it is one of the trials asked for; one that was cut short from outside is made again."""
    return trial.state.is_finished() and (trial.state != TrialState.FAIL or "error" in trial.user_attrs)


def ask(study: optuna.Study, config: TuneConfig, place: int) -> optuna.Trial:
    """A new trial, the `place`-th of those that count.

    Sampler and pruner are made anew each time: what they decide follows from the seed, the place and the
    earlier trials alone, so that a search that is taken up goes on as if nothing had happened.
    """
    seed = int(stream(config.sampler_seed, "trial", place).integers(2**32))
    if config.sampler == "tpe":
        study.sampler = optuna.samplers.TPESampler(n_startup_trials=config.startup, seed=seed)
    else:
        study.sampler = optuna.samplers.RandomSampler(seed=seed)
    if config.pruner == "median":
        study.pruner = optuna.pruners.MedianPruner(config.startup, n_warmup_steps=config.min_epochs)
    else:
        study.pruner = optuna.pruners.NopPruner()
    return study.ask()


def suggest(trial: optuna.Trial, ranges: Mapping[str, Span | Choices]) -> dict[str, Value]:
    """A value for each key."""
    for key, span in ranges.items():
        if isinstance(span, Choices):
            trial.suggest_categorical(key, list(span.by_name))
        elif isinstance(span.low, int) and isinstance(span.high, int) and not isinstance(span.step, float):
            trial.suggest_int(key, span.low, span.high, step=span.step or 1, log=span.log)
        else:
            trial.suggest_float(key, span.low, span.high, step=span.step, log=span.log)
    return values_of(trial.params, ranges)


def values_of(params: Mapping[str, Any], ranges: Mapping[str, Span | Choices]) -> dict[str, Value]:
    """A trial's values, as far as they were drawn; Optuna knows a choice by its name: it can hold no list."""
    return {
        key: span.by_name[params[key]] if isinstance(span, Choices) else params[key]
        for key, span in ranges.items()
        if key in params
    }
