"""A run of MLflow: on a server, in a database, or in a folder."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.config.tracking import TrackingOptions
from agegender.core.files import read_json, write_json
from agegender.core.nested import leaves
from agegender.tracking.tracker import Tracker, finals, rows

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""Unless they are set: no word to its makers, and seconds, not minutes, for a server that is gone."""
_AT_ONCE = 100
"""Parameters in a request: MLflow's own limit."""
_STATUS = {"ok": "FINISHED", "interrupted": "KILLED"}
_ARTIFACTS = ("report.html", "config.yaml")


class MLflow(Tracker):
    """One run of MLflow for one of ours, however often that is taken up: `record` holds its id.

    MLflow forgets nothing. So a step that it has is not told again, and parameters are those at the start.
    """

    def __init__(
        self, options: TrackingOptions, directory: Path, record: Path, config: dict[str, Any]
    ) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        assert options.mlflow is not None
        self._directory = directory
        self._client = MlflowClient(tracking_uri=_uri(options.mlflow))
        known = read_json(record)
        if known.get("mlflow") == str(options.mlflow):
            self._run: str = known["run_id"]
            self._client.update_run(self._run, status="RUNNING")
        else:
            self._run = self._create(options)
            write_json(record, {"mlflow": str(options.mlflow), "run_id": self._run})
            self._params(config)
        told = self._client.get_metric_history(self._run, "history/epoch")
        self._steps = {metric.step for metric in told}

    def history(self, history: pd.DataFrame) -> None:
        for end, step, figures in rows(history[~history["step"].isin(self._steps)]):
            self._metrics(figures, step, end)
            self._steps.add(step)

    def end(self, status: dict[str, Any], metrics: dict[str, Any]) -> None:
        self._metrics(finals(metrics), status["step"], time.time())
        for name in _ARTIFACTS:
            if (self._directory / name).exists():
                self._client.log_artifact(self._run, str(self._directory / name))
        if status["error"]:
            self._client.set_tag(self._run, "error", status["error"])
        self._client.set_terminated(self._run, _STATUS.get(status["status"], "FAILED"))

    def _create(self, options: TrackingOptions) -> str:
        parent, name = self._directory.parts[-2:]
        experiment = self._experiment(options)
        tags = {"directory": str(self._directory)}
        run = self._client.create_run(experiment, run_name=f"{parent}/{name}", tags=tags)
        return str(run.info.run_id)

    def _experiment(self, options: TrackingOptions) -> str:
        from mlflow.exceptions import MlflowException

        store = options.mlflow
        artifacts = (store / "artifacts").as_uri() if isinstance(store, Path) else None
        found = self._client.get_experiment_by_name(options.experiment)
        if found is None:
            with suppress(MlflowException):  # another job of the sweep was faster
                self._client.create_experiment(options.experiment, artifacts)
            found = self._client.get_experiment_by_name(options.experiment)
        return str(found.experiment_id)

    def _params(self, config: dict[str, Any]) -> None:
        from mlflow.entities import Param

        params = [
            Param(key, value if isinstance(value, str) else json.dumps(value))
            for key, value in leaves(config)
        ]
        for start in range(0, len(params), _AT_ONCE):
            self._client.log_batch(self._run, params=params[start : start + _AT_ONCE])

    def _metrics(self, figures: dict[str, float], step: int, end: float) -> None:
        from mlflow.entities import Metric

        metrics: Sequence[Any] = [
            Metric(name, value, int(end * 1000), step) for name, value in figures.items()
        ]
        self._client.log_batch(self._run, metrics=metrics)


def _uri(store: str | Path) -> str:
    """A folder stands for the database in it."""
    if isinstance(store, str):
        return store
    store.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{(store / 'mlflow.db').as_posix()}"
