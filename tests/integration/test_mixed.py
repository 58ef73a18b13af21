"""Exact ages and age bins in one set, through the commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.core.files import read_json, read_yaml, write_yaml

from ..made import make_fairface
from .conftest import TINY, Call

MIXED = (
    *(setting for setting in TINY if not setting.startswith("data.n")),
    "data=mixed",
    "~data.sources.utkface",
    "+data@data.sources.drawn=synthetic",
    "data.sources.drawn.n=60",
)


def test_both_kinds_of_ages_train_and_score_together(call: Call, workdir: Path) -> None:
    make_fairface(workdir / "Fair Face (1)")
    root = "data.sources.fairface.root=Fair Face (1)"
    done = call("train", *MIXED, root, "augment=strong", "trainer.max_steps=3", "hydra.run.dir=run")
    assert done.code == 0, done.err
    table = pd.read_csv(workdir / "run" / "predictions.csv")
    labels = table["id"].str.partition("/")[0]
    assert set(labels) == {"drawn", "fairface"}
    assert (table["age"].isna() == (labels == "fairface")).all()
    test = table[table["split"] == "test"]
    low, high = (test["age"].fillna(test[end]) for end in ("age_min", "age_max"))
    distance = np.maximum(np.maximum(low - test["age_pred"], test["age_pred"] - high), 0)
    figures = read_json(workdir / "run" / "metrics.json")["test"]
    assert figures["age_target"] == "mixed"
    assert figures["age_rmse"] == pytest.approx(np.sqrt((distance**2).mean()))
    assert figures["age_rmse"] < figures["age_rmse_midpoint"]
    assert figures["age_interval_hit_low"] <= figures["age_interval_hit"] <= figures["age_interval_hit_high"]
    history = pd.read_csv(workdir / "run" / "history.csv")
    val = table[table["split"] == "val"]
    nearest = val["age_pred"].clip(val["age"].fillna(val["age_min"]), val["age"].fillna(val["age_max"]))
    best = np.sqrt(((val["age_pred"] - nearest) ** 2).mean())
    assert np.isclose(history["val_age_rmse"], best, rtol=0.01).any()
    report = (workdir / "run" / "report.md").read_text(encoding="utf-8")
    assert "Some ages are labelled as intervals" in report
    assert "must not be used on photographs" in report
    assert "fairface: CC BY 4.0 (FairFace); drawn: drawn by agegender" in report

    # the run knows its sources, and goes on where its faces have moved
    shutil.move(workdir / "Fair Face (1)", workdir / "moved")
    config = read_yaml(workdir / "run" / "config.yaml")
    config["data"]["sources"]["fairface"]["root"] = "moved"
    write_yaml(workdir / "run" / "config.yaml", config)
    done = call("train", "resume=run", "trainer.max_steps=4")
    assert done.code == 0, done.err

    scored = (
        "data=mixed",
        "~data.sources.utkface",
        "data.sources.fairface.root=moved",
        "evaluation.bootstrap=0",
    )
    done = call("evaluate", "run=run", *scored, "hydra.run.dir=scored")
    assert done.code == 0, done.err
    assert read_json(workdir / "scored" / "metrics.json")["test"]["age_target"] == "interval"


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=mixed"], "data.sources.utkface.root is required: data.sources.utkface.root=VALUE"),
        (
            [*MIXED, "data.sources.fairface.root=nowhere"],
            "data.sources.fairface.root=nowhere: no such folder",
        ),
        ([*MIXED, "data.sources.fairface.root=."], "data.sources.fairface: data.root="),
        ([*MIXED, "~data.sources.fairface", "~data.sources.drawn"], "data.sources: needs a source or more"),
        (
            [*MIXED, "~data.sources.fairface", "+data.sources.x={name: nobody}"],
            "data.sources.x: unknown name",
        ),
        ([*MIXED, "~data.sources.fairface", "+data@data.sources.x=nobody"], "unknown data option 'nobody'"),
        (
            [*MIXED, "~data.sources.fairface", "+data.sources.x={name: mixed}"],
            "cannot be a source of another",
        ),
        ([*MIXED, "~data.sources.fairface", "data.sources.drawn.age_max=9"], "as data.age_max"),
        ([*MIXED, "~data.sources.fairface", "data.max_bad=2"], "data.max_bad=2: should be less than"),
        ([*MIXED, "data.sources.fairface.rot=x"], "did you mean 'data.sources.fairface.root'"),
    ],
)
def test_mistakes_cost_a_line(arguments: list[str], message: str, call: Call) -> None:
    done = call("train", *arguments)
    assert done.code == 2
    assert message in done.err
    assert "more)" not in done.err
    assert len(done.err.strip().splitlines()) == 1
