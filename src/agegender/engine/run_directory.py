"""A run's directory: its status, its log, its configuration."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agegender.core.files import read_json, write_json, write_yaml
from agegender.core.process import process_start

log = logging.getLogger("agegender")
log.addHandler(logging.NullHandler())  # what no run's log takes goes nowhere, not to stderr


@dataclass
class RunDirectory:
    """Keeps `status.json` true while a run lives: running, then ok, failed or interrupted.

    Of the ranks that train together the first one writes; what the others are told to write is left out.
    """

    path: Path
    is_writer: bool = True
    step: int = 0
    resumed_from_step: int | None = None
    seconds_before: float = 0.0
    """What an earlier attempt had taken."""
    _started: float = field(default_factory=time.monotonic)

    def write_config(self, config: dict[str, Any]) -> None:
        if self.is_writer:
            write_yaml(self.path / "config.yaml", config)

    def set_status(self, status: str, error: str | None = None) -> None:
        if not self.is_writer:
            return
        write_json(
            self.path / "status.json",
            {
                "status": status,
                "pid": os.getpid(),
                "process_start": process_start(os.getpid()),
                "error": error,
                "seconds": round(self.seconds_before + time.monotonic() - self._started, 3),
                "step": self.step,
                "resumed_from_step": self.resumed_from_step,
            },
        )


@contextmanager
def running(run: RunDirectory) -> Iterator[None]:
    """A run at work in its directory: `train.log` and `status.json`.

    The status becomes `ok` when the block ends, `interrupted` or `failed` (with the error) otherwise.
    """
    if not run.is_writer:
        logging.captureWarnings(True)
        yield
        return
    run.path.mkdir(parents=True, exist_ok=True)
    run.set_status("running")
    with log_file(run.path / "train.log"):
        try:
            yield
        except KeyboardInterrupt:
            log.info("interrupted at step %d", run.step)
            run.set_status("interrupted")
            raise
        except (Exception, SystemExit) as error:
            log.info("failed at step %d\n%s", run.step, traceback.format_exc())
            with suppress(OSError):  # a full disk must not hide what went wrong
                run.set_status("failed", _in_a_line(error))
            raise
        else:
            run.set_status("ok")


def _in_a_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@contextmanager
def watched(directory: Path) -> Iterator[None]:
    """A run whose ranks are other processes: the first of them is `running` in the directory.

    Where it was killed, or failed because another rank had, the status is set right.
    """
    file = directory / "status.json"
    before = file.read_bytes() if file.exists() else None
    try:
        yield
    except BaseException as error:
        with suppress(OSError):
            if before is None and not file.exists():
                RunDirectory(directory).set_status("running")
            if file.read_bytes() != before:
                _set_right(directory, error)
        raise


def _set_right(directory: Path, error: BaseException) -> None:
    found = read_json(directory / "status.json")
    is_stop = isinstance(error, KeyboardInterrupt)
    status = "interrupted" if is_stop else "failed"
    if found["status"] == status and not (found["error"] or "").startswith("PeerError:"):
        return
    with log_file(directory / "train.log"):
        log.info("%s at step %d\n%s", status, found["step"], error.__cause__ or error)
    line = None if is_stop else _in_a_line(error)
    write_json(directory / "status.json", {**found, "status": status, "error": line})


class _LogFile(logging.FileHandler):
    """A full disk ends the log, not the run, and fills no console."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Go on."""


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """The block's log and warnings are added to the file."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger("py.warnings").removeHandler(handler)
        log.removeHandler(handler)
        handler.close()
