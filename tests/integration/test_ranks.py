"""Two gloo processes train one network: who writes, and how a run ends whatever becomes of a rank."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from agegender.cli import train
from agegender.config.entry import run_entry
from agegender.core.files import read_json, read_yaml

from .conftest import TINY, Call, needs_two_cores

pytestmark = needs_two_cores

TWO = (*TINY, "trainer.devices=2")
ENDLESS = (
    *TWO[:-2],
    "trainer.devices=2",
    "schedule.phases.all.epochs=100000",
    "schedule.patience=null",
    "trainer.checkpoint_every=1",
)
COMMAND = (sys.executable, "-m", "agegender.cli.train")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run of two ranks; tests must not write into it."""
    path = tmp_path_factory.mktemp("pair") / "run"
    assert run_entry(train.ENTRY, [*TWO, f"hydra.run.dir={path}"]) == 0
    return path


def _epochs(workdir: Path) -> int:
    history = workdir / "run" / "history.csv"
    return len(history.read_text(encoding="utf-8").splitlines()) - 1 if history.exists() else 0


def _started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def _wait_for(is_there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not is_there() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    assert is_there()


def _ranks(process: subprocess.Popen[str]) -> list[int]:
    """The process numbers of a command's ranks, in their order."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return sorted(pid for pid, command in commands.items() if b"spawn_main" in command)


def test_the_first_rank_leaves_what_one_process_leaves(pair: Path, tiny_run: Path) -> None:
    files = [{str(path.relative_to(run)) for path in run.rglob("*")} for run in (tiny_run, pair)]
    assert files[0] == files[1]
    status = read_json(pair / "status.json")
    assert (status["status"], status["step"], status["error"]) == ("ok", 4, None)
    assert read_yaml(pair / "config.yaml")["trainer"]["devices"] == 2
    lines = (pair / "train.log").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "epoch 2/2" in line] == lines[-1:]


def test_torchrun_starts_the_same_run(pair: Path, workdir: Path) -> None:
    run = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    done = subprocess.run(
        [*run, "-m", "agegender.cli.train", *TWO, "hydra.run.dir=run"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2/2") == 1
    assert done.stdout.count("report: ") == 1
    assert (workdir / "run" / "predictions.csv").read_bytes() == (pair / "predictions.csv").read_bytes()
    assert (workdir / "run" / "metrics.json").read_bytes() == (pair / "metrics.json").read_bytes()


def test_srun_starts_the_same_run(pair: Path, workdir: Path) -> None:
    """Its variables alone: there is no SLURM here."""
    slurm = {"STEP_ID": "0", "JOB_ID": str(os.getpid()), "NTASKS": "2", "NTASKS_PER_NODE": "2", "NNODES": "1",
             "NODEID": "0", "NODELIST": "127.0.0.1"}  # fmt: skip
    shared = {**os.environ, **{f"SLURM_{name}": value for name, value in slurm.items()}}
    tasks = [
        subprocess.Popen(
            [*COMMAND, *TWO, "hydra.run.dir=run"],
            env={**shared, "SLURM_PROCID": rank, "SLURM_LOCALID": rank},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in "01"
    ]  # fmt: skip
    (_, err), (out, follower_err) = (task.communicate(timeout=120) for task in tasks)
    assert [task.returncode for task in tasks] == [0, 0], err + follower_err
    assert not out, out
    assert (workdir / "run" / "predictions.csv").read_bytes() == (pair / "predictions.csv").read_bytes()


BROKEN = """
import os
import sys
from agegender.cli.train import ENTRY
from agegender.config.entry import run_entry
from agegender.core.errors import RunError
from agegender.engine.step import Stepper

take = Stepper.take

def broken(*arguments, **keywords):
    taken = take(*arguments, **keywords)
    broken.steps += 1
    if os.environ.get("RANK") == "1" and broken.steps == 3:
        raise RunError("rank 1 has had enough")
    return taken

broken.steps = 0
Stepper.take = broken
if __name__ == "__main__":
    sys.exit(run_entry(ENTRY, sys.argv[1:]))
"""


def test_the_error_of_any_rank_is_the_runs(workdir: Path) -> None:
    (workdir / "broken.py").write_text(BROKEN, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "broken.py", *ENDLESS, "hydra.run.dir=run"],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "error: rank 1 has had enough\n"
    status = read_json(workdir / "run" / "status.json")
    assert (status["status"], status["error"]) == ("failed", "RunError: rank 1 has had enough")
    assert "in broken" in (workdir / "run" / "train.log").read_text(encoding="utf-8")
    assert (workdir / "run" / "report.html").exists()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_the_run(rank: int, workdir: Path) -> None:
    process = _started(*ENDLESS, "hydra.run.dir=run")
    _wait_for(lambda: _epochs(workdir) >= 2, process)  # the first one's status is written
    os.kill(_ranks(process)[rank], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith(f"error: rank {rank} was killed (SIGKILL")
    assert len(err.splitlines()) == 1
    status = read_json(workdir / "run" / "status.json")
    assert status["status"] == "failed"
    assert status["error"].startswith(f"RunError: rank {rank} was killed")
    assert status["step"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_can_go_on(number: signal.Signals, call: Call, workdir: Path) -> None:
    process = _started(*ENDLESS, "hydra.run.dir=run")
    _wait_for(lambda: _epochs(workdir) >= 2, process)  # the first one's status is written
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "interrupted\n"
    status = read_json(workdir / "run" / "status.json")
    assert status["status"] == "interrupted"
    assert f"goes on from step {status['step']}" in out
    if number is signal.SIGTERM:  # once is enough: it takes time
        more = f"trainer.max_steps={status['step'] + 2}"
        done = call("train", "resume=run", more)
        assert done.code == 0, done.err
        assert read_json(workdir / "run" / "status.json")["resumed_from_step"] == status["step"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_third_signal_ends_ranks_that_hear_none(workdir: Path) -> None:
    process = _started(*ENDLESS, "hydra.run.dir=run")
    _wait_for(lambda: _epochs(workdir) >= 2, process)  # the first one's status is written
    for pid in _ranks(process):
        os.kill(pid, signal.SIGSTOP)
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)  # signals of one number that come together count once
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert read_json(workdir / "run" / "status.json")["status"] == "interrupted"


def test_a_run_that_cannot_go_on_is_left_as_it_is(pair: Path, call: Call, workdir: Path) -> None:
    (workdir / "run").mkdir()
    for name in ("config.yaml", "status.json"):
        content = (pair / name).read_text(encoding="utf-8")
        (workdir / "run" / name).write_text(content.replace('"ok"', '"failed"'), encoding="utf-8")
    before = {path.name: path.read_bytes() for path in (workdir / "run").iterdir()}
    done = call("train", "resume=run")
    assert done.code == 2
    assert "holds no checkpoints/last.ckpt" in done.err
    assert {path.name: path.read_bytes() for path in (workdir / "run").iterdir()} == before


def test_each_job_of_a_sweep_starts_ranks_of_its_own(call: Call, workdir: Path) -> None:
    quick = ("model=scratch_cnn_v2", *TWO[1:], "trainer.max_steps=1", "hydra.sweep.dir=sweep")
    done = call("train", "-m", *quick, "loss.lambda=1,10")
    assert done.code == 0, done.err
    assert pd.read_csv(workdir / "sweep" / "sweep.csv")["status"].tolist() == ["ok", "ok"]
    log = (workdir / "sweep" / "0" / "train.log").read_text(encoding="utf-8")
    assert "batch normalisation on 2 CPU ranks: the statistics are each rank's own" in log


def test_no_sweep_under_torchrun(call: Call, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = call("train", "-m", *TWO, "seed=1,2")
    assert done.code == 2
    assert "a sweep under torchrun would run 2 times over" in done.err
    assert not any(workdir.iterdir())
