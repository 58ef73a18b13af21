"""One run at work in its directory, and its report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `--help` must not wait for torch
    from agegender.engine.progress import Display
    from agegender.engine.run_directory import RunDirectory


def run_and_report(run: RunDirectory, display: Display, work: Callable[[], None]) -> None:
    """Do the work of a run; its report is written for a failed or interrupted one, too."""
    from agegender.engine.last import LAST
    from agegender.engine.run_directory import running
    from agegender.report.run import summary_line, write_report

    try:
        with running(run):
            work()
    except BaseException as error:
        with suppress(OSError):  # a full disk must not hide what went wrong
            write_report(run.path)
        if isinstance(error, KeyboardInterrupt) and (run.path / LAST).exists():
            display.say(f"resume={run.path} goes on from step {run.step}")
        raise
    write_report(run.path)
    display.say(f"{summary_line(run.path)}\nreport: {run.path / 'report.html'}")
