"""Two ranks take the steps of one process: the same global batches, losses, faces and checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from agegender.cli import train
from agegender.config.entry import run_entry
from agegender.core.files import read_json

from ..training import TIMES, assert_same_run
from .conftest import TEN_STEPS, needs_two_cores

pytestmark = needs_two_cores

UNEVEN = (*TEN_STEPS, "trainer.precision=32", "schedule.phases.all.lr=1e-3")
"""56 training faces in five batches of 11 and 12, so that the two shares of most differ."""


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def _run(folder: Path, *arguments: str) -> Path:
    assert run_entry(train.ENTRY, [*arguments, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run of two ranks; tests must not write into it."""
    return _run(tmp_path_factory.mktemp("pair") / "run", *UNEVEN, "trainer.devices=2")


def _assert_same_curve(one: Path, two: Path) -> None:
    left, right = (pd.read_csv(run / "history.csv").drop(columns=TIMES) for run in (one, two))
    pd.testing.assert_frame_equal(left, right, rtol=1e-4)
    left, right = (pd.read_csv(run / "predictions.csv") for run in (one, two))
    pd.testing.assert_frame_equal(left, right, rtol=1e-3, atol=1e-4)


def test_the_same_loss_curve(pair: Path, tmp_path: Path) -> None:
    one = _run(tmp_path / "one", *UNEVEN)
    _assert_same_curve(one, pair)
    last = pd.read_csv(pair / "history.csv")["train_age_loss"]
    assert last.iloc[-1] < last.iloc[0]


@pytest.mark.parametrize("name", ["pcgrad", "gradnorm"])
def test_the_same_curve_where_gradients_are_balanced(name: str, tmp_path: Path) -> None:
    """Each task's gradient, its norm on the last layer, and a second look are sums over the ranks."""
    lines = (*UNEVEN, f"balancer={name}", "balancer.diagnose_every=1", "trainer.max_steps=6")
    one = _run(tmp_path / "one", *lines)
    _assert_same_curve(one, _run(tmp_path / "two", *lines, "trainer.devices=2"))
    assert pd.read_csv(one / "history.csv")["grad_samples"].tolist() == [5, 1]


def test_the_same_losses_where_labels_are_missing(tmp_path: Path) -> None:
    """A mean over the labelled faces of the whole batch, also where a rank's share has none."""
    rng = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    ages = [20.0 + i if i % 4 == 0 else None for i in range(40)]
    genders = ["male" if i % 2 else "female" if i % 3 else None for i in range(40)]
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(40)], "age": ages, "gender": genders})
    table.to_csv(tmp_path / "faces.csv", index=False)
    settings = (
        "model=scratch_cnn", "data=csv", f"data.csv={tmp_path / 'faces.csv'}", "data.image_size=16",
        "data.gender_codes={male: male, female: female}", "data.max_bad=1", "split=random",
        "trainer.batch_size=5", "trainer.precision=32", "schedule.phases.all.epochs=2",
        "evaluation.bootstrap=0",
    )  # fmt: skip
    one = _run(tmp_path / "one", *settings)
    _assert_same_curve(one, _run(tmp_path / "two", *settings, "trainer.devices=2"))


def test_every_face_counts_once(pair: Path) -> None:
    split, table = (pd.read_csv(pair / name) for name in ("split.csv", "predictions.csv"))
    assert table["id"].tolist() == sorted(set(table["id"]), key=table["id"].tolist().index)
    assert sorted(table["id"]) == sorted(split.loc[split["split"] != "train", "id"])
    metrics = read_json(pair / "metrics.json")
    for part in ("val", "test"):
        rows = table[table["split"] == part]
        assert metrics[part]["n"] == len(rows)
        rmse = float(((rows["age"] - rows["age_pred"]) ** 2).mean() ** 0.5)
        assert metrics[part]["age_rmse"] == pytest.approx(rmse, rel=1e-6)


def test_two_ranks_go_on_as_if_nothing_had_happened(pair: Path, tmp_path: Path) -> None:
    cut = _run(tmp_path / "cut", *UNEVEN, "trainer.devices=2", "trainer.max_steps=7")
    assert run_entry(train.ENTRY, [f"resume={cut}", "trainer.max_steps=null"]) == 0
    assert_same_run(pair, cut)
