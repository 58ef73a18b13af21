"""One run at work in its directory, alone or in ranks of its own, and its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agegender.config.schema import TrainConfig
from agegender.core.world import current_world

if TYPE_CHECKING:  # `--help` must not wait for torch
    from agegender.engine.progress import Display


@contextmanager
def reported(directory: Path, display: Display, finish: Callable[[], None] = lambda: None) -> Iterator[None]:
    """The report of the run that the block is, then `finish`; a failed or interrupted one gets its own, too.

    One that was refused before it began leaves its directory as it is.
    """
    from agegender.engine.last import LAST
    from agegender.report.run import summary_line, write_report
    from agegender.report.status import read_status

    before = _content(directory / "status.json")
    try:
        yield
    except BaseException as error:
        if _content(directory / "status.json") == before:
            raise
        with suppress(OSError):  # a full disk must not hide what went wrong
            write_report(directory)
            finish()
        if isinstance(error, KeyboardInterrupt) and (directory / LAST).exists():
            display.say(f"resume={directory} goes on from step {read_status(directory)['step']}")
        raise
    write_report(directory)
    finish()
    display.say(f"{summary_line(directory)}\nreport: {directory / 'report.html'}")


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def train_and_report(
    config: TrainConfig, directory: Path, work: Callable[[], None], quiet: bool = False
) -> None:
    """Do a run's work here, or in `trainer.devices` processes where no launcher has started them."""
    from agegender.engine.progress import Display

    display = Display(quiet)
    with reported(directory, display, partial(_tell_trackers, config, directory, display)):
        if config.trainer.devices == 1 or current_world() is not None:
            work()
        else:
            _in_ranks(config.trainer.devices, directory, work)


def _tell_trackers(config: TrainConfig, directory: Path, display: Display) -> None:
    """What only the end knows: status, metrics, report."""
    from agegender.engine.run_directory import log_file
    from agegender.tracking.trackers import Trackers

    with log_file(directory / "train.log"):
        Trackers(config.tracking, directory, display.warn).end()


def _in_ranks(size: int, directory: Path, work: Callable[[], None]) -> None:
    from agegender.engine.run_directory import watched
    from agegender.engine.spawn import run_in_ranks

    with watched(directory):
        run_in_ranks(size, work)
