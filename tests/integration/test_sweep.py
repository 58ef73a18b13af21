"""A sweep: one row a job, failures among them, every job checked before the first starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from agegender.config.preflight import parse_flags, preflight
from agegender.config.schema import TrainConfig
from agegender.core.files import read_json

from .conftest import TINY, Call

QUICK = (*TINY, "trainer.max_steps=2")


def test_a_row_a_job(call: Call, workdir: Path) -> None:
    done = call("train", "-m", *QUICK, "loss.lambda=1,10", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    table = pd.read_csv(workdir / "sweep" / "sweep.csv")
    assert table["status"].tolist() == ["ok", "ok"]
    assert table["loss.lambda"].tolist() == [1, 10]
    for number in (0, 1):
        metrics = read_json(workdir / "sweep" / str(number) / "metrics.json")
        assert table["test_age_rmse"][number] == pytest.approx(metrics["test"]["age_rmse"])
        assert (workdir / "sweep" / str(number) / "report.html").exists()
    assert "loss.lambda" in (workdir / "sweep" / "sweep.md").read_text(encoding="utf-8")
    assert "epoch 1/" not in done.out


def test_a_failed_job_keeps_its_row_and_the_others_finish(call: Call, workdir: Path) -> None:
    lr = "schedule.phases.all.lr=1e-3,100,1e-4"
    done = call("train", "-m", *TINY, "schedule.optimizer=sgd", "loss.lambda=0", lr)
    assert done.code == 1
    (sweep,) = workdir.glob("outputs/multirun/*/*")
    table = pd.read_csv(sweep / "sweep.csv")
    assert table["status"].tolist()[1] == "failed"
    assert re.search("age loss|gradient", table["error"][1])
    assert (sweep / "2" / "metrics.json").exists()


def test_a_job_of_a_sweep_is_the_run_alone(call: Call, workdir: Path) -> None:
    """To the bit, whatever ran before it in the same process."""
    others = (*QUICK[1:], "augment=published")
    grid = ("seed=1,2", "model=scratch_cnn_v2,scratch_cnn")
    assert call("train", "-m", *others, *grid, "hydra.sweep.dir=sweep").code == 0
    alone_too = ("seed=2", "model=scratch_cnn", "hydra.run.dir=alone")
    assert call("train", *others, *alone_too).code == 0
    in_sweep, alone = workdir / "sweep" / "3", workdir / "alone"
    assert (in_sweep / "metrics.json").read_bytes() == (alone / "metrics.json").read_bytes()
    assert (in_sweep / "predictions.csv").read_bytes() == (alone / "predictions.csv").read_bytes()


MEASURE = """
import sys
import torch
from agegender.cli.train import ENTRY
from agegender.config.entry import run_entry
from agegender.report import sweep

torch.set_num_threads(1)
write_sweep = sweep.write_sweep

def measured(folder):
    with open("/proc/self/statm") as file:  # in front of the table: what a job has left
        print("pages", file.read().split()[1])
    return write_sweep(folder)

sweep.write_sweep = measured
if __name__ == "__main__":
    sys.exit(run_entry(ENTRY, sys.argv[1:]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_ten_jobs_need_no_more_memory_than_two(workdir: Path) -> None:
    grid = "loss.lambda=1,2,3,4,5,6,7,8,9,10"
    (workdir / "measure.py").write_text(MEASURE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "measure.py", "-m", *QUICK, grid, "hydra.sweep.dir=sweep"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("pages ")]
    assert len(pages) == 11  # and the table at the end
    assert pages[9] <= 1.05 * pages[1], pages  # 1.08 where nothing is collected between jobs


class TestPresets:
    def test_a_preset_needs_no_flag(self, call: Call, workdir: Path) -> None:
        done = call("train", "sweep=lambda_grid", *TINY, "trainer.max_steps=1", "hydra.sweep.dir=sweep")
        assert done.code == 0, done.err
        table = pd.read_csv(workdir / "sweep" / "sweep.csv")
        assert table["loss.lambda"].tolist() == [1, 3, 10, 30, 50, 100, 300]
        assert table["status"].unique().tolist() == ["ok"]
        assert "sweep:" not in (workdir / "sweep" / "0" / "config.yaml").read_text(encoding="utf-8")
        for name in ("age_rmse", "gender_f1", "harmonic_mean", "pareto"):
            assert (workdir / "sweep" / "plots" / f"{name}.png").exists()
            assert f"(plots/{name}.png)" in (workdir / "sweep" / "sweep.md").read_text(encoding="utf-8")
        assert (workdir / "sweep" / "sweep.html").read_text(encoding="utf-8").count("data:image/png") == 4

    @pytest.mark.parametrize("flag", [[], ["-m"]])
    def test_values_beside_a_preset(self, flag: list[str]) -> None:
        assert _jobs(*flag, "sweep=seeds", "loss.lambda=1,10") == [
            (seed, weight) for seed in range(5) for weight in (1, 10)
        ]

    def test_own_values_take_the_place_of_the_presets(self) -> None:
        assert _jobs("sweep=lambda_grid", "loss.lambda=1,2") == [(0, 1), (0, 2)]
        assert _jobs("sweep=lambda_grid", "loss.lambda=7") == [(0, 7)]


def _jobs(*arguments: str) -> list[tuple[int, float]]:
    """(seed, lambda) of every job that a command line means."""
    flags = parse_flags(arguments, sweeps=True)
    plan = preflight("train", TrainConfig, flags, lambda _: None)
    return [(job.config.seed, job.config.loss.lambda_) for job in plan.jobs]


def test_hydras_own_mode_is_a_sweep_too() -> None:
    flags = parse_flags(["hydra.mode=MULTIRUN", "seed=1"], sweeps=True)
    assert preflight("train", TrainConfig, flags, lambda _: None).multirun


def test_the_flag_may_stand_in_front_or_between() -> None:
    assert _jobs("seed=1", "-m", "loss.lambda=1,2") == _jobs("-m", "seed=1", "loss.lambda=1,2")


def test_paths_with_odd_names_in_a_sweep(call: Call, workdir: Path) -> None:
    folder = workdir / "a, b (c) ${d}"
    folder.mkdir()
    quick = [line for line in QUICK if not line.startswith("data.n=")]
    done = call("train", "-m", *quick, "data=utkface", f"data.root='{folder}'", "seed=1")
    assert done.code == 1  # the folder is found; that it holds no image is the job's failure
    assert f"data.root={folder}: no .jpg" in done.err
