"""Trackers hold what the files of a run hold, read back with their own libraries."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agegender.config.entry import run_entry
from agegender.config.tracking import TrackingOptions
from agegender.core.files import read_json, read_yaml
from agegender.core.nested import leaves
from agegender.tracking.tensorboard import TensorBoard
from agegender.tracking.trackers import Trackers

from .conftest import ENTRIES, TEN_STEPS, TINY, Call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracked")


@pytest.fixture(scope="module")
def store(folder: Path) -> str:
    return str(folder / "store")


@pytest.fixture(scope="module")
def followed(folder: Path, store: str) -> Path:
    """A run of two epochs of five steps that was cut within the second one and taken up."""
    run = folder / "run"
    trackers = ("tracking.tensorboard=true", f"tracking.mlflow={store}")
    arguments = [*TEN_STEPS, *trackers, "trainer.max_steps=7", f"hydra.run.dir={run}"]
    assert run_entry(ENTRIES["train"], arguments) == 0
    assert _history(run)["step"].tolist() == [5, 7]
    assert run_entry(ENTRIES["train"], [f"resume={run}", "trainer.max_steps=10"]) == 0
    assert _history(run)["step"].tolist() == [5, 10]
    return run


def _history(run: Path) -> pd.DataFrame:
    """The figures of history.csv, less what the faces did not give."""
    table = pd.read_csv(run / "history.csv").drop(columns="phase")
    return table.dropna(axis="columns")


def _finals(run: Path) -> dict[str, float]:
    """The numbers of metrics.json under the names that trackers get."""
    return {
        f"metrics/{name.replace('.', '/')}": value
        for name, value in leaves(read_json(run / "metrics.json"))
        if isinstance(value, int | float)
    }


def _events(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run / "tensorboard")).Reload()


def _client(store: str) -> MlflowClient:
    return MlflowClient(f"sqlite:///{store}/mlflow.db")


def _runs(store: str, experiment: str) -> list[Any]:
    client = _client(store)
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def test_tensorboard_shows_history_csv_in_float32(followed: Path) -> None:
    events, history = _events(followed), _history(followed)
    columns = [name for name in history if name != "step"]
    assert len(columns) > 15
    for name in columns:
        found = events.Scalars(f"history/{name}")
        assert [event.step for event in found] == [5, 10]
        assert [event.value for event in found] == history[name].astype(np.float32).tolist()
        took = history["seconds"][1]  # the epoch, wherever and whenever it was told
        assert found[1].wall_time - found[0].wall_time == pytest.approx(took, abs=1e-5)


def test_tensorboard_shows_the_last_figures_once(followed: Path) -> None:
    events, finals = _events(followed), _finals(followed)
    assert len(finals) > 40
    for name, value in finals.items():
        (event,) = events.Scalars(name)
        assert (event.step, event.value) == (10, struct.unpack("f", struct.pack("f", value))[0])
    known = {"history", "metrics", "config", "_hparams_"}
    assert {
        name.partition("/")[0] for kind in events.Tags().values() if isinstance(kind, list) for name in kind
    } <= known
    assert events.SummaryMetadata("_hparams_/session_start_info").plugin_data.plugin_name == "hparams"


def test_mlflow_holds_history_csv_exactly(followed: Path, store: str) -> None:
    record, client = read_json(followed / "tracking.json"), _client(store)
    assert record["mlflow"] == store
    history = _history(followed)
    for name in history.columns.drop("step"):
        found = client.get_metric_history(record["run_id"], f"history/{name}")
        told = {metric.step: metric.value for metric in found}
        assert len(found) == len(told)  # no step twice
        assert sorted(told) == [5, 7, 10]  # what was measured at step 7 stays true
        assert [told[5], told[10]] == history[name].tolist()


def test_mlflow_goes_on_in_one_run(followed: Path, store: str) -> None:
    client = _client(store)
    (run,) = _runs(store, "agegender")
    assert run.info.run_id == read_json(followed / "tracking.json")["run_id"]
    assert (run.info.status, run.info.run_name) == ("FINISHED", f"{followed.parent.name}/run")
    for name, value in _finals(followed).items():
        found = client.get_metric_history(run.info.run_id, name)
        assert [metric.step for metric in found] == [7, 10]
        assert found[1].value == value
    params = dict(leaves(read_yaml(followed / "config.yaml")))
    assert run.data.params.keys() == params.keys()
    assert run.data.params["loss.lambda"] == str(params["loss.lambda"])
    assert run.data.params["trainer.max_steps"] == "7"  # those at the start
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"config.yaml", "report.html"}


def test_a_run_of_mlflow_for_each_job_of_a_sweep(store: str, tmp_path: Path) -> None:
    arguments = ["-m", *TINY, "trainer.max_steps=2", f"tracking.mlflow={store}", "tracking.experiment=sweep"]
    sweep = tmp_path / "sweep"
    assert run_entry(ENTRIES["train"], [*arguments, "seed=0,1", f"hydra.sweep.dir={sweep}"]) == 0
    runs = _runs(store, "sweep")
    jobs = {(run.info.run_name, run.data.params["seed"]) for run in runs}
    assert (len(runs), jobs) == (2, {("sweep/0", "0"), ("sweep/1", "1")})


def test_a_failed_run_is_failed_in_mlflow(
    store: str, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no history today")

    monkeypatch.setattr("agegender.engine.kept.write_csv", fail)
    trackers = (f"tracking.mlflow={store}", "tracking.experiment=failed")
    assert call("train", *TINY, f"hydra.run.dir={tmp_path / 'run'}", *trackers).code == 1
    (run,) = _runs(store, "failed")
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "RuntimeError: no history today")
    assert not run.data.metrics


def test_a_server_that_is_gone_costs_a_warning(
    workdir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    called = call("train", *TINY, "hydra.run.dir=run", "tracking.mlflow=http://127.0.0.1:9")
    assert called.code == 0
    assert read_json(workdir / "run" / "status.json")["status"] == "ok"
    log = (workdir / "run" / "train.log").read_text(encoding="utf-8")
    assert log.count("WARNING tracking.mlflow: ") == 2  # as it began, and when the end was to be told
    assert called.out.count("the run goes on without it") == 2


def test_one_that_fails_is_given_up_and_the_end_tells_all(
    workdir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, calls = TensorBoard.history, []

    def history(tracker: TensorBoard, table: pd.DataFrame) -> None:
        calls.append(len(table))
        if calls == [1]:
            raise OSError("no space left")
        tell(tracker, table)

    monkeypatch.setattr(TensorBoard, "history", history)
    called = call("train", *TINY, "hydra.run.dir=run", "tracking.tensorboard=true")
    assert called.code == 0
    assert calls == [1, 2]  # not asked again before the end
    assert called.out.count("warning: tracking.tensorboard: no space left") == 1
    found = _events(workdir / "run").Scalars("history/val_age_rmse")
    assert len(found) == 2


def test_a_library_that_is_missing_costs_no_directory(
    workdir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agegender.tracking.trackers.find_spec", lambda _name: None)
    for key, name in (("tracking.tensorboard=true", "tensorboard"), ("tracking.mlflow=store", "mlflow")):
        called = call("train", *TINY, key)
        assert called.code == 2
        assert f"pip install 'agegender[{name}]'" in called.err
    assert not list(workdir.iterdir())


def test_other_ranks_tell_nobody_anything(tmp_path: Path) -> None:
    options = TrackingOptions(tensorboard=True, mlflow=tmp_path / "store", experiment="agegender")
    trackers = Trackers(options, tmp_path / "run", pytest.fail, writes=False)
    with trackers.following(is_new=True):
        trackers.update()
    trackers.end()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("postgresql://me:secret@db/mlflow", "holds a password"),
        ("file:///tmp/mlruns", "name the folder alone"),
        ("''", "must be a folder or the URI"),
    ],
)
def test_a_store_that_cannot_be(value: str, words: str, workdir: Path, call: Call) -> None:
    called = call("train", *TINY, f"tracking.mlflow={value}")
    assert called.code == 2
    assert "tracking.mlflow" in called.err
    assert words in called.err
    assert not list(workdir.iterdir())
