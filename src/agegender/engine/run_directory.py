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

from agegender.core.files import write_json, write_yaml
from agegender.core.process import process_start

log = logging.getLogger("agegender")


@dataclass
class RunDirectory:
    """Keeps `status.json` true while a run lives: running, then ok, failed or interrupted."""

    path: Path
    step: int = 0
    resumed_from_step: int | None = None
    seconds_before: float = 0.0
    """What an earlier attempt had taken."""
    _started: float = field(default_factory=time.monotonic)

    def write_config(self, config: dict[str, Any]) -> None:
        write_yaml(self.path / "config.yaml", config)

    def set_status(self, status: str, error: str | None = None) -> None:
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
    run.path.mkdir(parents=True, exist_ok=True)
    run.set_status("running")
    with _log_file(run.path / "train.log"):
        try:
            yield
        except KeyboardInterrupt:
            log.info("interrupted at step %d", run.step)
            run.set_status("interrupted")
            raise
        except (Exception, SystemExit) as error:
            log.info("failed at step %d\n%s", run.step, traceback.format_exc())
            with suppress(OSError):  # a full disk must not hide what went wrong
                run.set_status("failed", f"{type(error).__name__}: {' '.join(str(error).split())}")
            raise
        else:
            run.set_status("ok")


class _LogFile(logging.FileHandler):
    """A full disk ends the log, not the run, and fills no console."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Go on."""


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
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
