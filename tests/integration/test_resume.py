"""A sweep taken up again: only what is not ok runs, and earlier attempts stay."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from agegender.core.files import read_json, read_yaml, write_json, write_yaml
from agegender.core.lock import locked
from agegender.core.process import process_start

from .conftest import SWEPT, TINY, Call

DEAD_PID = 999_999_999


@pytest.fixture
def sweep(tiny_sweep: Path, workdir: Path) -> Path:
    """A copy of the finished sweep, to be damaged."""
    shutil.copytree(tiny_sweep, workdir / "sweep")
    return workdir / "sweep"


def _set(run: Path, **changes: object) -> None:
    write_json(run / "status.json", {**read_json(run / "status.json"), **changes})


def _kill(run: Path) -> None:
    _set(run, status="running", pid=DEAD_PID)


def _snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time of change and content."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def _statuses(sweep: Path) -> list[str]:
    return [str(status) for status in pd.read_csv(sweep / "sweep.csv")["status"]]


def _is_short(err: str) -> bool:
    return len(err.strip().splitlines()) <= 2 and "Traceback" not in err


def test_only_what_is_not_ok_runs_again(sweep: Path, tiny_sweep: Path, call: Call) -> None:
    _set(sweep / "1", status="failed", error="RunError: no memory")
    shutil.rmtree(sweep / "2")
    finished, failed = _snapshot(sweep / "0"), _snapshot(sweep / "1")
    done = call("train", "sweep.resume=sweep")
    assert done.code == 0, done.err
    assert "2 left to do" in done.out
    assert "[2/3]" in done.out
    assert "[1/3]" not in done.out
    assert _statuses(sweep) == ["ok"] * 3
    assert _snapshot(sweep / "0") == finished
    assert _snapshot(sweep / "1.failed") == failed
    for job in ("1", "2"):
        for name in ("predictions.csv", "metrics.json"):
            assert (sweep / job / name).read_bytes() == (tiny_sweep / job / name).read_bytes()
    assert (sweep / "sweep.json").read_bytes() == (tiny_sweep / "sweep.json").read_bytes()
    assert {path.name for path in sweep.iterdir() if path.is_dir()} == {"0", "1", "2", "1.failed", "plots"}


def test_every_attempt_is_kept(sweep: Path, call: Call) -> None:
    for _ in range(2):
        _kill(sweep / "2")
        assert call("train", "sweep.resume=sweep").code == 0
    (sweep / "1" / "status.json").unlink()
    assert call("train", "sweep.resume=sweep").code == 0
    kept = {path.name for path in sweep.iterdir() if path.is_dir()} - {"0", "1", "2", "plots"}
    assert kept == {"1.missing", "2.killed", "2.killed-2"}
    assert _statuses(sweep) == ["ok"] * 3


def test_nothing_left_to_do(sweep: Path, call: Call) -> None:
    (sweep / "sweep.csv").unlink()
    before = {job: _snapshot(sweep / job) for job in ("0", "1", "2")}
    done = call("train", "sweep.resume=sweep")
    assert done.code == 0, done.err
    assert "nothing left to do" in done.out
    assert _statuses(sweep) == ["ok"] * 3
    assert {job: _snapshot(sweep / job) for job in before} == before


def test_a_job_that_fails_again_fails_the_sweep(workdir: Path, call: Call) -> None:
    lr = "schedule.phases.all.lr=1e-3,100"
    sgd = ("-m", *TINY, "schedule.optimizer=sgd", "loss.lambda=0", lr, "hydra.sweep.dir=sweep")
    assert call("train", *sgd).code == 1
    assert call("train", "sweep.resume=sweep").code == 1
    assert _statuses(workdir / "sweep") == ["ok", "failed"]
    assert (workdir / "sweep" / "1.failed" / "train.log").exists()


class TestWithTheCommandLine:
    def test_the_same_grid_is_taken_up(self, sweep: Path, call: Call) -> None:
        _kill(sweep / "1")
        before = _snapshot(sweep / "0")
        done = call("train", "-m", *reversed(SWEPT), "hydra.sweep.dir=elsewhere", "sweep.resume=sweep")
        assert done.code == 0, done.err
        assert _statuses(sweep) == ["ok"] * 3
        assert _snapshot(sweep / "0") == before
        assert (sweep / "1.killed").is_dir()
        assert not Path("elsewhere").exists()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-m", *SWEPT[:-1], "loss.lambda=1,20,100"], "job 1 was loss.lambda=10, now loss.lambda=20"),
            (["-m", *SWEPT[:-1], "loss.lambda=1,10"], "3 jobs there, 2 here"),
            (["-m", *SWEPT, "seed=7"], "job 0 was without that, now seed=7"),
            (["-m", *SWEPT[1:]], "job 0 was model=scratch_cnn, now without that"),
            (["seed=7"], "leave that out"),
            (["loss.lambda=1,10,100"], "add -m"),
        ],
        ids=lambda value: str(value)[-40:],
    )
    def test_another_one_is_refused(self, arguments: list[str], words: str, sweep: Path, call: Call) -> None:
        _kill(sweep / "1")
        before = _snapshot(sweep)
        done = call("train", *arguments, "sweep.resume=sweep")
        assert done.code == 2
        assert words in done.err
        assert _is_short(done.err), done.err
        assert _snapshot(sweep) == before


def test_a_new_sweep_does_not_take_the_place_of_one(sweep: Path, call: Call) -> None:
    done = call("train", "-m", *SWEPT, "hydra.sweep.dir=sweep")
    assert done.code == 2
    assert f"sweep.resume={sweep}" in done.err
    assert _is_short(done.err), done.err


def test_settings_that_changed_meanwhile_are_refused(sweep: Path, call: Call) -> None:
    """Say, a YAML of the user's was edited: the overrides are the same, the jobs would not be."""
    _kill(sweep / "1")
    config = read_yaml(sweep / "0" / "config.yaml")
    config["schedule"]["phases"]["all"]["lr"] = 0.5
    write_yaml(sweep / "0" / "config.yaml", config)
    before = _snapshot(sweep)
    done = call("train", "sweep.resume=sweep")
    assert done.code == 2
    assert "since job 0 ran: schedule.phases.all.lr was 0.5, now " in done.err
    assert _is_short(done.err), done.err
    assert _snapshot(sweep) == before


@pytest.mark.parametrize("command", ["train", "report"])
def test_a_lost_report_is_made_up_for(command: str, sweep: Path, call: Call) -> None:
    """Ctrl-C may strike while the report of a finished job is written."""
    for name in ("report.html", "metrics.json"):
        (sweep / "1" / name).unlink()
    done = call(command, "sweep.resume=sweep" if command == "train" else "runs=[sweep]")
    assert done.code == 0, done.err
    assert (sweep / "1" / "report.html").exists()
    assert pd.read_csv(sweep / "sweep.csv")["test_age_rmse"].notna().all()


@pytest.mark.parametrize("line", ["sweep.resume", "+sweep.resume"])
def test_a_key_without_value(line: str, call: Call) -> None:
    done = call("train", line)
    assert done.code == 2
    assert "sweep.resume=DIR" in done.err
    assert _is_short(done.err), done.err


def test_a_live_job_is_left_alone(sweep: Path, call: Call) -> None:
    _kill(sweep / "0")
    _set(sweep / "1", status="running", pid=os.getpid(), process_start=process_start(os.getpid()))
    before = _snapshot(sweep)
    done = call("train", "sweep.resume=sweep")
    assert done.code == 2
    assert f"job 1 is still running (pid {os.getpid()})" in done.err
    assert _is_short(done.err), done.err
    assert _snapshot(sweep) == before


def test_a_sweep_at_work_between_two_jobs_is_left_alone(sweep: Path, call: Call) -> None:
    _kill(sweep / "1")
    with locked(sweep / "sweep.json") as is_ours:
        assert is_ours
        done = call("train", "sweep.resume=sweep")
    assert done.code == 2
    assert "another process is at work on this sweep" in done.err
    assert not (sweep / "1.killed").exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"jobs": []}',
        '{"jobs": [], "command": "x"}',
        '{"command": "x"}',
        '{"jobs": [{"number": 0, "dir": "../0", "overrides": []}], "command": "x"}',
        '{"jobs": [{"number": 0, "dir": "0", "overrides": "seed=1"}], "command": "x"}',
        '{"jobs": [{"number": 5, "dir": "5", "overrides": ["seed=1"]}], "command": "x"}',
        '{"jobs": [{"number": 0, "dir": "0", "overrides": ["seed=(("]}], "command": "x"}',
    ],
)
def test_a_damaged_plan(content: str, sweep: Path, call: Call) -> None:
    (sweep / "sweep.json").write_text(content, encoding="utf-8")
    done = call("train", "sweep.resume=sweep")
    assert done.code == 2
    assert "damaged" in done.err or "seed=((" in done.err
    assert _is_short(done.err), done.err


def test_a_plan_of_an_earlier_version(sweep: Path, call: Call) -> None:
    plan = read_json(sweep / "sweep.json")
    write_json(sweep / "sweep.json", {"jobs": plan["jobs"], "command": plan["command"]})
    _kill(sweep / "2")
    assert call("train", "sweep.resume=sweep").code == 0
    assert _statuses(sweep) == ["ok"] * 3


def test_from_another_folder_with_own_presets_and_an_odd_name(
    workdir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths of the plan, --config-dir among them, begin where the sweep did."""
    presets = workdir / "my conf" / "sweep"
    presets.mkdir(parents=True)
    preset = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '4,5'}}}\n"
    preset += "data: {age_max: 99.0}\n"
    (presets / "mine.yaml").write_text(preset, encoding="utf-8")
    name = "a sweep (1), ümläut ${x}"
    monkeypatch.setenv("HOME", str(workdir))
    quick = (*TINY, "trainer.max_steps=1", "sweep=mine", "--config-dir", "my conf")
    done = call("train", *quick, "hydra.sweep.dir=sweeps/it")
    assert done.code == 0, done.err
    shutil.move("sweeps/it", name)
    shutil.rmtree(Path(name) / "1")
    (workdir / "there").mkdir()
    monkeypatch.chdir(workdir / "there")
    done = call("train", f"sweep.resume=~/{name}")
    assert done.code == 0, done.err
    assert _statuses(workdir / name) == ["ok", "ok"]
    assert "age_max: 99.0" in (workdir / name / "1" / "config.yaml").read_text(encoding="utf-8")
    assert Path.cwd() == workdir / "there"
    assert not any(Path.cwd().iterdir())


def test_the_folder_where_it_began_is_gone(sweep: Path, call: Call) -> None:
    plan = read_json(sweep / "sweep.json")
    write_json(sweep / "sweep.json", {**plan, "folder": "/no/such/folder"})
    done = call("train", "sweep.resume=sweep")
    assert done.code == 2
    assert "/no/such/folder" in done.err
    assert call("train", "-m", *SWEPT, "sweep.resume=sweep").code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda n: n.name)
def test_a_sweep_that_was_ended_is_finished(number: signal.Signals, call: Call, workdir: Path) -> None:
    """One job done, one under way, one not begun: a table of the three states, then of three that are ok."""
    sweep = workdir / "sweep"
    lengths = ("schedule.phases.all.epochs=1,80,2", "schedule.patience=null")
    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("agegender-train"),
            "-m",
            *TINY[:-1],
            *lengths,
            f"hydra.sweep.dir={sweep}",
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 120
    while not (sweep / "1" / "checkpoints" / "last.ckpt").exists() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    status = "killed" if number == signal.SIGKILL else "interrupted"
    if number == signal.SIGKILL:
        assert call("report", f"runs=[{sweep}]").code == 0
    else:
        assert process.returncode == 130, err
        assert "Traceback" not in err
    assert _statuses(sweep) == ["ok", status, "missing"]
    for name in ("sweep.md", "sweep.html"):
        text = (sweep / name).read_text(encoding="utf-8")
        assert f"3 (1 ok, 1 {status}, 1 missing)" in text
        assert "1 of 3 jobs" in text
    finished = _snapshot(sweep / "0")
    done = call("train", f"sweep.resume={sweep}")
    assert done.code == 0, done.err
    assert _statuses(sweep) == ["ok"] * 3
    assert _snapshot(sweep / "0") == finished
    assert (sweep / f"1.{status}" / "train.log").exists()
    assert len(pd.read_csv(sweep / "1" / "history.csv")) == 80
    assert "3 of 3 jobs" in (sweep / "sweep.md").read_text(encoding="utf-8")
