"""What a person sees while a network trains: a live bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger("agegender")

T = TypeVar("T")


class _Console(Console):
    """Goes on in silence when nobody reads any more (`agegender-train | head`); rich would exit."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Display:
    """Prints to the console unless `quiet` (sweeps); everything also goes to the run's log."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = _Console(highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._live = not quiet and self._console.is_terminal

    def say(self, text: str) -> None:
        log.info(text)
        if not self._quiet:
            self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        log.warning(text)
        if not self._quiet:
            self._console.print(f"warning: {text}", markup=False, style="yellow")

    @contextmanager
    def counting(self) -> Iterator[Callable[[str, int, int], None]]:
        """A `progress(what, done, total)` callback for work that reports by itself."""
        if not self._live:
            yield _silent
            return
        with self._bar() as bar:
            task = bar.add_task("", total=None)
            yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)

    def track(self, items: Iterable[T], what: str, total: int, done: int = 0) -> Iterator[T]:
        """The items, with a live bar on a terminal; `done` of the total are not among them."""
        if not self._live:
            yield from items
            return
        with self._bar() as bar:
            yield from bar.track(items, total=total, completed=done, description=what)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )


def _silent(_what: str, _done: int, _total: int) -> None:
    """No bar where nobody watches."""


def epoch_line(row: dict[str, Any], epochs: int, seconds_left: float, is_best: bool) -> str:
    """One line for a row of the history; figures that the faces cannot give show as -."""

    def figure(name: str, digits: int) -> str:
        return "-" if row[name] is None else f"{row[name]:.{digits}f}"

    return (
        f"epoch {row['epoch']}/{epochs} {row['phase']}"
        f"  loss age {figure('train_age_loss', 1)} gender {figure('train_gender_loss', 3)}"
        f"  val RMSE {figure('val_age_rmse', 2)} F1 {figure('val_gender_f1', 3)}"
        f" harmonic {figure('val_harmonic_mean', 3)}{' *' if is_best else ''}"
        f"  {row['seconds']:.1f} s, {row['images_per_second']:.0f} images/s, {_duration(seconds_left)} left"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
