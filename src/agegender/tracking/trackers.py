"""The trackers of a run: told what its files hold, and never in its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agegender.config.tracking import TrackingOptions
from agegender.core.errors import UserError
from agegender.core.files import read_json, read_yaml, write_json
from agegender.tracking.mlflow import MLflow
from agegender.tracking.tensorboard import TensorBoard
from agegender.tracking.tracker import Tracker, read_history

RECORD = "tracking.json"
"""In the directory of a run that trackers have followed: MLflow's id of it."""


def check_trackers(options: TrackingOptions) -> None:
    """Raises UserError where the library of a tracker is missing; imports none."""
    for name, key in (("tensorboard", options.tensorboard), ("mlflow", options.mlflow)):
        if key and find_spec(name) is None:
            value = "true" if key is True else key
            raise UserError(f"tracking.{name}={value} needs {name}: pip install 'agegender[{name}]'")


class Trackers:
    """Those that the settings name, where this process `writes`.

    One that fails is given up with a warning, and the run goes on.
    """

    def __init__(
        self, options: TrackingOptions, directory: Path, warn: Callable[[str], None], writes: bool = True
    ) -> None:
        self._directory, self._warn, self._record = directory, warn, directory / RECORD
        self._makers: dict[str, Callable[[dict[str, Any]], Tracker]] = {}
        if writes and options.tensorboard:
            self._makers["tensorboard"] = partial(TensorBoard, directory)
        if writes and options.mlflow:
            self._makers["mlflow"] = partial(MLflow, options, directory, self._record)
        self._open: dict[str, Tracker] = {}

    @contextmanager
    def following(self, is_new: bool) -> Iterator[None]:
        """The block is a run at work, a new one or one that is taken up; `update` tells what it has done."""
        if is_new and self._makers:
            write_json(self._record, {})
        for name, make in self._makers.items():
            with self._guarded(name):
                self._open[name] = make(read_yaml(self._directory / "config.yaml"))
        self.update()
        try:
            yield
        finally:
            self._each(lambda tracker: tracker.close())
            self._open.clear()

    def update(self) -> None:
        """Tell them what history.csv has by now."""
        path = self._directory / "history.csv"
        if self._open and path.exists():
            history = read_history(path)
            self._each(lambda tracker: tracker.history(history))

    def end(self) -> None:
        """Tell them how the run ended, where they have followed it; its report is written."""
        if not self._makers or not self._record.exists():
            return
        status = read_json(self._directory / "status.json")
        metrics = read_json(self._directory / "metrics.json") if status["status"] == "ok" else {}
        with self.following(is_new=False):
            self._each(lambda tracker: tracker.end(status, metrics))

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            with self._guarded(name):
                tell(tracker)

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a server, a disk or a library may raise
            self._open.pop(name, None)
            line = " ".join(str(error).split())[:160] or type(error).__name__
            self._warn(f"tracking.{name}: {line}; the run goes on without it, its directory holds everything")
