"""Hydra's other launchers run a sweep's jobs elsewhere, and leave what its own one does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from .conftest import TINY, Call

GRID = (*TINY, "schedule.optimizer=sgd", "loss.lambda=0", "schedule.phases.all.lr=1e-4,100")
"""Two jobs; the second one fails."""


def _installed(launcher: str) -> bool:
    try:
        return importlib.util.find_spec(f"hydra_plugins.hydra_{launcher}_launcher") is not None
    except ModuleNotFoundError:
        return False


needs_joblib = pytest.mark.skipif(not _installed("joblib"), reason="needs hydra-joblib-launcher")
needs_submitit = pytest.mark.skipif(not _installed("submitit"), reason="needs hydra-submitit-launcher")


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], marks=needs_joblib, id="joblib"),
        pytest.param(["hydra/launcher=submitit_local"], marks=needs_submitit, id="submitit_local"),
    ],
)
def test_the_same_jobs_in_other_processes(
    launcher: list[str], call: Call, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = (sys.executable, "-m", "agegender.cli.train", "-m", *GRID, "hydra.sweep.dir=there", *launcher)
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert call("train", "-m", *GRID, "hydra.sweep.dir=here").code == done.returncode == 1, done.stderr
    here, there = (pd.read_csv(workdir / name / "sweep.csv") for name in ("here", "there"))
    assert here["status"].tolist() == ["ok", "failed"]
    times = ["seconds", "faces_per_second"]
    pd.testing.assert_frame_equal(here.drop(columns=times), there.drop(columns=times))
    names = [{path.name for path in (workdir / name / "0").iterdir()} for name in ("here", "there")]
    assert names[0] == names[1]
    assert (workdir / "there" / "1" / "report.html").exists()


@needs_joblib
def test_joblib_shares_no_devices(call: Call, workdir: Path) -> None:
    done = call("train", "-m", "trainer.devices=2", "hydra/launcher=joblib", "seed=1,2")
    assert done.code == 2
    assert "hydra/launcher=joblib with trainer.devices above 1" in done.err
    assert not any(workdir.iterdir())


MINE = """
defaults:
  - submitit_slurm
partition: gpu
tasks_per_node: 1
"""


@needs_submitit
def test_slurm_is_looked_for_first(call: Call, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(workdir))
    (workdir / "cluster" / "hydra" / "launcher").mkdir(parents=True)
    (workdir / "cluster" / "hydra" / "launcher" / "mine.yaml").write_text(MINE, encoding="utf-8")
    for chosen, words in (
        (["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"], "no srun on this machine"),
        (["--config-dir", "cluster", "hydra/launcher=mine"], "no srun on this machine"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.partitions=gpu"], "hydra.launcher.partitions"),
    ):
        done = call("train", "-m", *chosen, "seed=1,2")
        assert done.code == 2, done.err
        assert words in done.err
        assert len(done.err.splitlines()) == 1
    assert [path.name for path in workdir.iterdir()] == ["cluster"]
