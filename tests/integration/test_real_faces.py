"""The published sets as they are in the wild; runs where AGEGENDER_DATA holds UTKFace/ and FairFace/."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agegender.config.compose import conf_dir
from agegender.core import registry
from agegender.core.files import read_json, read_yaml
from agegender.data.dataset import Dataset, load_dataset
from agegender.data.manifest import age_midpoint

from .conftest import Call

ROOT = Path(os.environ.get("AGEGENDER_DATA", "/nonexistent"))

pytestmark = pytest.mark.skipif(
    not ((ROOT / "UTKFace").is_dir() and (ROOT / "FairFace").is_dir()),
    reason="AGEGENDER_DATA names no folder with UTKFace/ and FairFace/",
)


def options(kind: str, name: str, **values: Any) -> Any:
    plain = {**read_yaml(conf_dir() / kind / f"{name}.yaml"), **values}
    return registry.find(kind, name).Options.model_validate(plain)


def load(name: str, folder: str, split: str) -> Dataset:
    return load_dataset(
        options("data", name, root=str(ROOT / folder), limit=300), options("split", split), 64
    )


def test_utkface() -> None:
    dataset = load("utkface", "UTKFace", "dedup")
    assert len(dataset.faces) == 300
    assert set(dataset.rejected["reason"]) <= {"malformed name"}
    assert len(dataset.rejected) < 20  # some names lack the race or hold a blank
    assert dataset.faces["age"].between(1, 116).all()
    assert set(dataset.faces["gender"]) == {"female", "male"}
    assert set(dataset.faces["group"]) == {"white", "black", "asian", "indian", "others"}
    assert {name: len(dataset.part(name)) for name in ("train", "val", "cal", "test")} == pytest.approx(
        {"train": 210, "val": 30, "cal": 15, "test": 45}, abs=2
    )
    assert 20 < dataset.samples[np.arange(len(dataset.samples))].std() < 100


def test_fairface() -> None:
    dataset = load("fairface", "FairFace", "column")
    assert len(dataset.faces) == 300
    assert dataset.rejected.empty
    assert dataset.faces["age"].isna().all()
    assert age_midpoint(dataset.faces).between(1, 80).all()
    assert set(dataset.faces["gender"]) == {"female", "male"}
    assert dataset.faces["group"].nunique() == 7
    assert len(dataset.part("train")) > len(dataset.part("val")) > 0


def test_exact_ages_and_bins_train_together(call: Call, workdir: Path) -> None:
    roots = [f"data.sources.{name.lower()}.root={ROOT / name}" for name in ("UTKFace", "FairFace")]
    quick = ("data.limit=300", "data.image_size=32", "model=scratch_cnn", "trainer.max_steps=4")
    done = call("train", "data=mixed", *roots, *quick, "hydra.run.dir=run")
    assert done.code == 0, done.err
    table = pd.read_csv(workdir / "run" / "predictions.csv")
    is_bin = table["id"].str.startswith("fairface/")
    assert (table["age"].isna() == is_bin).all()
    assert 0 < is_bin.sum() < len(table)
    figures = read_json(workdir / "run" / "metrics.json")["test"]
    assert figures["age_target"] == "mixed"
    assert figures["age_rmse"] < figures["age_rmse_midpoint"]
