"""A search over real training: its files, its best trial trained again, what ends it, and how it goes on."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest

import agegender
from agegender.config.entry import run_entry
from agegender.core.files import read_json, read_yaml
from tests.training import striking
from tests.tuning import groups_with

from .conftest import ENTRIES, TINY, Call

SEARCHED = (*TINY, "search=lambda", "trials=2", "startup=1")
COLUMNS = ["state", "loss.lambda", "val_harmonic_mean", "epochs"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a search of two trials; tests must not write into it."""
    folder = tmp_path_factory.mktemp("tune") / "search"
    assert run_entry(ENTRIES["tune"], [*SEARCHED, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture
def search(finished: Path, workdir: Path) -> Path:
    """A copy of it."""
    shutil.copytree(finished, workdir / "search")
    return workdir / "search"


def _table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "tune.csv")


def _same_trials(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """The same values with the same figures, less what was cut short."""
    kept = found[~found["error"].fillna("").str.startswith("interrupted or killed")]
    pd.testing.assert_frame_equal(kept[COLUMNS].reset_index(drop=True), wanted[COLUMNS])


def _is_short(err: str) -> bool:
    return len(err.strip().splitlines()) <= 2 and "Traceback" not in err


def test_each_trial_is_a_run(finished: Path) -> None:
    table = _table(finished)
    assert table["trial"].tolist() == [0, 1]
    for number, row in table.iterrows():
        run = finished / str(number)
        history = pd.read_csv(run / "history.csv")
        assert row["val_harmonic_mean"] == pytest.approx(history["val_harmonic_mean"].max())
        assert read_yaml(run / "config.yaml")["loss"]["lambda"] == pytest.approx(row["loss.lambda"])
        assert (run / "report.html").exists()
    complete = table[table["state"] == "complete"]
    assert len(complete) >= 1
    page = (finished / "tune.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 2
    assert "flatters" in page
    assert not (finished / "status.json").exists()


def test_the_printed_command_trains_the_best_trial_again(finished: Path, call: Call, workdir: Path) -> None:
    experiment = (finished / "experiment" / "best.yaml").read_text(encoding="utf-8")
    assert experiment.startswith("# @package _global_\n")
    assert "chosen on the val faces" in experiment
    (command,) = [line[2:] for line in experiment.splitlines() if line.startswith("# agegender-train")]
    assert command in (finished / "tune.md").read_text(encoding="utf-8")
    table = _table(finished)
    best = table.loc[table["state"] == "complete", "val_harmonic_mean"].idxmax()
    done = call(*[word.removeprefix("agegender-") for word in shlex.split(command)], "hydra.run.dir=again")
    assert done.code == 0, done.err
    for name in ("config.yaml", "metrics.json", "predictions.csv"):
        again, trial = workdir / "again" / name, finished / str(best) / name
        assert again.read_bytes() == trial.read_bytes()


def test_ctrl_c_ends_the_search_and_resume_goes_on(finished: Path, call: Call, workdir: Path) -> None:
    with striking(2):
        done = call("tune", *SEARCHED, "hydra.run.dir=search")
    folder = workdir / "search"
    assert done.code == 130, done.err
    assert f"agegender-tune resume={folder} goes on" in done.out
    assert _table(folder)["state"].tolist() == ["failed"]
    assert read_json(folder / "0" / "status.json")["status"] == "interrupted"
    done = call("tune", f"resume={folder}")
    assert done.code == 0, done.err
    table = _table(folder)
    assert table["trial"].tolist() == [0, 1, 2]
    _same_trials(table, _table(finished))


def test_a_killed_search_ends_like_one_that_was_not(finished: Path, call: Call, workdir: Path) -> None:
    folder = workdir / "search"
    process = subprocess.Popen(
        [sys.executable, "-m", "agegender.cli.tune", *SEARCHED, f"hydra.run.dir={folder}"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(agegender.__file__).parents[1])},
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while not (folder / "1" / "history.csv").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = (folder / "0" / "predictions.csv").read_bytes()
    done = call("tune", f"resume={folder}", "trials=2")
    assert done.code == 0, done.err
    table = _table(folder)
    assert len(table) == 3
    assert table["error"].dropna().tolist() == ["interrupted or killed; another trial takes its place"]
    _same_trials(table, _table(finished))
    assert (folder / "0" / "predictions.csv").read_bytes() == first


def test_a_trial_with_bad_numbers_fails_alone(call: Call, workdir: Path) -> None:
    groups = groups_with(workdir / "my groups", {"schedule.phases.all.lr": {"choices": [100.0, 1e-3]}})
    sgd = (*TINY, "schedule.optimizer=sgd", "loss.lambda=0", "sampler=random", "trials=4")
    done = call("tune", "--config-dir", str(groups), "search=mine", *sgd, "hydra.run.dir=search")
    assert done.code == 0, done.err
    table = _table(workdir / "search")
    assert set(table.loc[table["schedule.phases.all.lr"] == 100, "state"]) == {"failed"}
    assert set(table.loc[table["schedule.phases.all.lr"] != 100, "state"]) == {"complete"}
    assert "failed: step" in done.err


def test_a_pruned_trial_can_be_finished(call: Call, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.pruners.MedianPruner, "prune", lambda _self, _study, trial: trial.number == 1)
    done = call("tune", *SEARCHED, "hydra.run.dir=search")
    assert done.code == 0, done.err
    run = workdir / "search" / "1"
    table = _table(workdir / "search")
    assert table["state"].tolist() == ["complete", "pruned"]
    assert table["epochs"].tolist() == [2, 1]
    assert read_json(run / "status.json")["status"] == "interrupted"
    assert (run / "report.html").exists()
    assert "pruned after epoch 1" in (run / "train.log").read_text(encoding="utf-8")
    assert call("train", f"resume={run}").code == 0
    assert read_json(run / "status.json")["status"] == "ok"


class TestMistakes:
    def test_a_search_that_has_ended_is_left_as_it_is(self, search: Path, call: Call) -> None:
        before = {path: path.read_bytes() for path in search.glob("[0-9]/**/*") if path.is_file()}
        done = call("tune", "resume=search")
        assert done.code == 0, done.err
        assert "0 to do" in done.out
        assert _table(search)["trial"].tolist() == [0, 1]
        for path, content in before.items():
            assert path.read_bytes() == content, path

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["resume=search", "seed=1"], ["seed=1", "beside resume only trials and timeout"]),
            (["resume=search", "search=rates"], ["search=rates", "its own settings"]),
            (["resume=search", "-m"], ["-m", "its own settings"]),
            (["resume=search", "trials=0"], ["trials=0"]),
            (["resume=search/0"], ["holds no search", "tune.json"]),
            (["hydra.run.dir=search"], ["already holds a search", "agegender-tune resume="]),
        ],
        ids=str,
    )
    def test_resume(self, arguments: list[str], words: list[str], search: Path, call: Call) -> None:
        plan = (search / "tune.json").read_bytes()
        done = call("tune", *arguments)
        assert done.code == 2, done.err
        assert _is_short(done.err), done.err
        for word in words:
            assert word in done.err
        assert (search / "tune.json").read_bytes() == plan

    def test_a_search_is_no_run(self, search: Path, call: Call) -> None:
        for argument in (f"resume={search}", f"hydra.run.dir={search}"):
            done = call("train", argument)
            assert done.code == 2
            assert "agegender-tune resume=" in done.err

    def test_other_settings_are_refused(self, call: Call, workdir: Path) -> None:
        groups = groups_with(workdir / "groups", {"loss.lambda": {"choices": [1, 10]}})
        line = ("--config-dir", str(groups), "search=mine", *TINY, "trials=1", "hydra.run.dir=search")
        assert call("tune", *line).code == 0
        groups_with(groups, {"loss.lambda": {"choices": [1, 20]}})
        done = call("tune", "resume=search", "trials=2")
        assert done.code == 2
        assert "search.loss.lambda.choices was [1, 10], now [1, 20]" in done.err
        assert _is_short(done.err), done.err

    @pytest.mark.parametrize("content", ["", "[]", '{"command": "x"}'])
    def test_a_damaged_plan(self, content: str, search: Path, call: Call) -> None:
        (search / "tune.json").write_text(content, encoding="utf-8")
        done = call("tune", "resume=search")
        assert done.code == 2
        assert "tune.json is damaged" in done.err
        assert _is_short(done.err), done.err

    def test_without_optuna(self, call: Call, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "optuna", None)
        done = call("tune")
        assert done.code == 2
        assert "pip install 'agegender[tune]'" in done.err
        assert not any(workdir.iterdir())
