"""A sweep: one row a job, failures among them, every job checked before the first starts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

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
    assert "age loss" in table["error"][1]
    assert (sweep / "2" / "metrics.json").exists()


def test_a_job_of_a_sweep_is_the_run_alone(call: Call, workdir: Path) -> None:
    assert call("train", "-m", *QUICK, "seed=1,2", "hydra.sweep.dir=sweep").code == 0
    assert call("train", *QUICK, "seed=2", "hydra.run.dir=alone").code == 0
    in_sweep, alone = workdir / "sweep" / "1", workdir / "alone"
    assert read_json(in_sweep / "metrics.json") == read_json(alone / "metrics.json")
    assert (in_sweep / "predictions.csv").read_bytes() == (alone / "predictions.csv").read_bytes()


def test_paths_with_odd_names_in_a_sweep(call: Call, workdir: Path) -> None:
    folder = workdir / "a, b (c) ${d}"
    folder.mkdir()
    quick = [line for line in QUICK if not line.startswith("data.n=")]
    done = call("train", "-m", *quick, "data=utkface", f"data.root='{folder}'", "seed=1")
    assert done.code == 1  # the folder is found; that it holds no image is the job's failure
    assert f"data.root={folder}: no .jpg" in done.err
