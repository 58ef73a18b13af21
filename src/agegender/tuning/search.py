"""A search at work: ask for values, train a run with them, tell what came of it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from agegender.config.every import seconds_of
from agegender.config.experiment_file import train_command, write_experiment
from agegender.config.schema import TrainConfig
from agegender.config.search_record import read_record, write_record
from agegender.config.space import Space, override_lines
from agegender.core.errors import UserError
from agegender.core.lock import locked
from agegender.engine.monitor import SMALLER_IS_BETTER, Monitor
from agegender.engine.run_directory import log
from agegender.engine.watch import Stopped, Watch
from agegender.report.files import read_columns
from agegender.report.search import CHOSEN, write_page, write_table
from agegender.report.trials import Search, Trial
from agegender.tuning.study import STORAGE, ask, counts, open_study, suggest, values_of

Train = Callable[[TrainConfig, Path, Watch], None]
"""Trains a run and reports on it; raises what the watch raises."""

_PATIENCE = 20
"""The page is made anew when so many times as long has passed as that takes: quick trials are not held up."""

_CUT = "interrupted or killed; another trial takes its place"

_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def run_search(space: Space, directory: Path, train: Train) -> int:
    """Train the trials that are still to be made; returns the exit code, 0 where there is a best one."""
    with _sole(directory):
        write_record(space.plan, directory)
        searcher = _Searcher(space, directory, open_study(directory, space.search.trainer.monitor), train)
        return searcher.run()


@contextmanager
def _sole(directory: Path) -> Iterator[None]:
    (directory / STORAGE).touch()
    with locked(directory / STORAGE) as is_ours:
        if not is_ours:
            raise UserError(f"{directory}: another process is at work on this search; wait for it or end it")
        yield


@dataclass
class _Searcher:
    space: Space
    directory: Path
    study: optuna.Study
    train: Train
    _written: float = -math.inf
    """When the page was last written, and how long that took."""
    _cost: float = 0.0
    _kept: int | None = None
    """The trial that best.yaml holds."""

    def run(self) -> int:
        config, started = self.space.search, time.monotonic()
        limit = None if config.timeout is None else seconds_of(config.timeout)
        done = self._done()
        print(f"search of {config.trials} trials in {self.directory}: {max(config.trials - done, 0)} to do")
        try:
            while (place := self._done()) < config.trials:
                if limit is not None and time.monotonic() - started >= limit:
                    print(f"timeout={config.timeout}: {config.trials - place} trials are left undone")
                    break
                self._trial(place)
                write_table(self.directory, self._search())
                if time.monotonic() - self._written > _PATIENCE * self._cost:
                    self._write()
        except BaseException:
            self._write()
            print(
                f"table: {self.directory / 'tune.md'}; agegender-tune resume={self.directory} goes on",
                flush=True,
            )
            raise
        return self._end()

    def _done(self) -> int:
        return sum(map(counts, self.study.get_trials(deepcopy=False)))

    def _trial(self, place: int) -> None:
        """One trial; a failed one is recorded, and the search goes on.

        Where no trial has come to anything yet, a mistake in what was asked for is everybody's.
        """
        trial = ask(self.study, self.space.search, place)
        values = suggest(trial, self.space.ranges)
        head = f"[{place + 1}/{self.space.search.trials}]"
        print(f"{head} trial {trial.number}: {' '.join(override_lines(values))}", flush=True)
        try:
            self.train(self.space.config(values), self.directory / str(trial.number), self._watch(trial))
        except Stopped:
            self._tell(trial, TrialState.PRUNED)
        except KeyboardInterrupt:
            self._tell(trial, TrialState.FAIL)
            raise
        except Exception as error:
            trial.set_user_attr("error", f"{type(error).__name__}: {' '.join(str(error).split())}")
            self._tell(trial, TrialState.FAIL)
            if isinstance(error, UserError) and all(
                each.state == TrialState.FAIL for each in self.study.get_trials(deepcopy=False)
            ):
                raise
            print(f"{head} failed: {error}", file=sys.stderr, flush=True)
            return
        else:
            self._tell(trial, TrialState.COMPLETE)
        told = self._search().trials[trial.number]
        print(f"{head} {told.state}: {self._sentence(told)}", flush=True)

    def _watch(self, trial: optuna.Trial) -> Watch:
        monitor = self.space.search.trainer.monitor

        def watch(row: dict[str, Any]) -> None:
            trial.report(row[f"val_{monitor}"], row["epoch"])
            if trial.should_prune():
                log.info("pruned after epoch %d: %s is worse than the median", row["epoch"], monitor)
                raise Stopped

        return watch

    def _tell(self, trial: optuna.Trial, state: TrialState) -> None:
        figure = None
        file = self.directory / str(trial.number) / "history.csv"
        if file.exists():
            column = f"val_{self.space.search.trainer.monitor}"
            history = read_columns(file, ["epoch", column])
            monitor = Monitor(self.space.search.trainer.monitor, patience=None)
            for epoch, value in zip(history["epoch"], history[column], strict=True):
                monitor.update(value, epoch)
            figure = float(monitor.best)
            trial.set_user_attr("figure", figure)
            trial.set_user_attr("epochs", len(history))
        self.study.tell(trial, figure if state == TrialState.COMPLETE else None, state=state)

    def _search(self) -> Search:
        config = self.space.search
        return Search(
            trials=[self._row(trial) for trial in self.study.get_trials(deepcopy=False)],
            keys=list(self.space.ranges),
            monitor=config.trainer.monitor,
            smaller_is_better=config.trainer.monitor in SMALLER_IS_BETTER,
            asked=config.trials,
            command=read_record(self.directory).command,
            train_command=train_command(self.directory),
        )

    def _row(self, trial: FrozenTrial) -> Trial:
        cut = trial.state == TrialState.FAIL and not counts(trial)
        return Trial(
            number=trial.number,
            state=_STATES[trial.state],
            chosen=values_of(trial.params, self.space.ranges),
            figure=trial.user_attrs.get("figure"),
            epochs=trial.user_attrs.get("epochs", 0),
            seconds=trial.duration.total_seconds() if trial.duration and not cut else None,
            error=_CUT if cut else trial.user_attrs.get("error"),
        )

    def _write(self) -> Search:
        """Table, page and experiment as they stand."""
        started, search = time.monotonic(), self._search()
        if search.best is not None and search.best.number != self._kept:
            self._kept = search.best.number
            about = f"Trial {search.best.number} of {self.directory}: {self._sentence(search.best)}."
            comment = f"{about}\n{CHOSEN} Train it again:\n{search.train_command}"
            write_experiment(self.directory, self.space, search.best.chosen, comment)
        write_table(self.directory, search)
        write_page(self.directory, search)
        self._written = time.monotonic()
        self._cost = self._written - started
        return search

    def _sentence(self, trial: Trial) -> str:
        search = self._search()
        return f"{search.label} {search.shown(trial.figure)}, best epoch of {trial.epochs}"

    def _end(self) -> int:
        search = self._write()
        print(f"table: {self.directory / 'tune.md'}")
        if search.best is None:
            print("no trial is complete", file=sys.stderr)
            return 1
        print(f"best: trial {search.best.number}, {self._sentence(search.best)}. {CHOSEN}")
        print(f"train it again: {search.train_command}")
        return 0
