"""Age heads and gender losses from the command line: what a run leaves, warns of and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from agegender.config.compose import composing, to_plain, validate
from agegender.config.schema import TrainConfig
from agegender.engine.checkpoint import BEST, load_best
from agegender.engine.parts import Parts, build_parts
from agegender.engine.progress import Display
from agegender.engine.read_faces import read_faces
from agegender.models.gender_head import GenderLoss

from .conftest import TINY, Call


def _check_posterior(run: Path) -> None:
    """posterior.npz and predictions.csv say the same."""
    table = pd.read_csv(run / "predictions.csv", dtype={"id": str})
    with np.load(run / "posterior.npz") as file:
        assert set(file) == {"id", "ages", "posterior"}
        ids, ages, posterior = file["id"], file["ages"], file["posterior"]
    assert ids.tolist() == table["id"].tolist()
    assert posterior.dtype == np.float32
    assert posterior.shape == (len(table), len(ages))
    assert posterior.sum(axis=1) == pytest.approx(1)
    mean = posterior.astype(float) @ ages
    assert mean == pytest.approx(table["age_pred"].to_numpy(), abs=1e-3)
    std = np.sqrt(posterior.astype(float) @ ages**2 - mean**2)
    assert std == pytest.approx(table["age_std"].to_numpy(), abs=1e-2)


@pytest.fixture(scope="module")
def dex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `age_head=classification`; tests must not write into it."""
    from agegender.cli import train
    from agegender.config.entry import run_entry

    path = tmp_path_factory.mktemp("dex") / "run"
    assert (
        run_entry(train.ENTRY, [*TINY, "age_head=classification", "loss.lambda=0.5", f"hydra.run.dir={path}"])
        == 0
    )
    return path


def test_a_posterior_is_kept_beside_the_predictions(dex: Path, tiny_run: Path) -> None:
    _check_posterior(dex)
    spec = load_best(dex).label_spec
    assert len(spec.age_quantiles) == 101
    assert not (tiny_run / "posterior.npz").exists()  # regression has none
    figures = [json.loads((run / "metrics.json").read_bytes())["test"] for run in (dex, tiny_run)]
    assert figures[0]["age_crps"] > 0
    assert "age_crps" not in figures[1]
    assert json.loads((dex / "calibration.json").read_bytes())["ages"]["score"] == "scaled"


def test_evaluation_keeps_one_as_well(dex: Path, call: Call, workdir: Path) -> None:
    done = call("evaluate", f"run={dex}", "data=synthetic", "data.n=40", "evaluation.bootstrap=0",
                "hydra.run.dir=scored")  # fmt: skip
    assert done.code == 0, done.err
    _check_posterior(workdir / "scored")


def test_a_checkpoint_of_an_earlier_version(tiny_run: Path, call: Call, workdir: Path) -> None:
    """It knows neither the loss of the regression head nor the quantiles of its labels."""
    shutil.copytree(tiny_run, workdir / "old")
    path = workdir / "old" / BEST
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    config, spec = json.loads(metadata["config"]), json.loads(metadata["label_spec"])
    config["age_head"] = {"name": "regression", "rescale": True}
    del spec["age_quantiles"]
    tensors = load_file(path)
    save_file(tensors, path, {**metadata, "config": json.dumps(config), "label_spec": json.dumps(spec)})
    for run in (tiny_run, workdir / "old"):
        done = call("evaluate", f"run={run}", "data=synthetic", "data.n=40", "evaluation.bootstrap=0",
                    f"hydra.run.dir=of_{run.name}")  # fmt: skip
        assert done.code == 0, done.err
    tables = [(workdir / name / "predictions.csv").read_bytes() for name in ("of_run", "of_old")]
    assert tables[0] == tables[1]


@pytest.mark.usefixtures("workdir")
def test_a_lambda_for_years_squared_is_warned_of(tiny_run: Path, dex: Path, call: Call) -> None:
    short = (*TINY, "trainer.max_steps=1", "evaluation.bootstrap=0")
    words = (
        "lambda=50 leaves age little say: the loss of age_head={} begins near {}; {} weighs gender as 50 does"
    )
    for line, loss, alike in (("age_head=corn", "4.1", "0.51"), ("loss.age_unit=std", "1", "0.13")):
        done = call("train", *short, line, "hydra.run.dir=run_" + loss)
        assert done.code == 0, done.err
        name = line.partition("=")[2] if "head" in line else "regression"
        assert words.format(name, loss, alike) in " ".join(done.out.split())
    for run in (tiny_run, dex):
        assert "leaves age little say" not in (run / "train.log").read_text(encoding="utf-8")


MISTAKES = [
    (["age_head=dexx"], ["unknown age_head option 'dexx'", "classification"]),
    (
        ["age_head=corn", "age_head.age_range=[10,30]"],
        [
            "age_head=corn: ",
            " of 56 ages of the train part lie outside its range of 10 to 30 years, such as ",
        ],
    ),
    (["age_head=corn", "age_head.age_range=[30]"], ["age_head.age_range"]),
    (["age_head=corn", "age_head.age_range=[30,10]"], ["age_range=[30, 10]", "must be below"]),
    (["age_head.decode=mean"], ["age_head.decode", "age_head=bins"]),
    (["age_head=bins", "age_head.edges=even"], ["age_head.edges=even", "uniform"]),
    (["age_head.loss=rmse"], ["age_head.loss=rmse", "huber"]),
    (
        ["loss.class_weights=[1]"],
        ["loss.class_weights=[1]: must be null, balanced, or [female, male], each above 0"],
    ),
    (
        ["loss.class_weights=even"],
        ["loss.class_weights=even: must be null, balanced, or [female, male], each above 0"],
    ),
    (["loss.class_weights=[1,0]"], ["loss.class_weights=[1, 0]: must be", "each above 0"]),
    (["loss.label_smoothing=0.6"], ["loss.label_smoothing=0.6", "0.5"]),
]


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize(("lines", "words"), MISTAKES, ids=str)
def test_mistakes_cost_a_line_or_two(lines: list[str], words: list[str], call: Call) -> None:
    done = call("train", *TINY, *lines)
    assert done.code == 2, done.err
    assert len(done.err.strip().splitlines()) <= 2, done.err
    for word in words:
        assert word in done.err


def _parts(*lines: str) -> Parts:
    with composing("train") as composer:
        config = validate(TrainConfig, to_plain(composer.compose([*TINY, *lines])))
    display = Display(quiet=True)
    return build_parts(config, lambda size: read_faces(config.data, config.split, size, None, display))


def test_gender_loss_is_as_configured() -> None:
    assert _parts().network.gender_head.criterion == GenderLoss()
    lines = ("loss.label_smoothing=0.1", "loss.class_weights=[1,3]", "loss.focal_gamma=2")
    assert _parts(*lines).network.gender_head.criterion == GenderLoss(0.1, (1.0, 3.0), 2.0)
    parts = _parts("loss.class_weights=balanced")
    weights = parts.network.gender_head.criterion.class_weights
    assert weights is not None
    genders = parts.dataset.faces["gender"].iloc[parts.dataset.part("train")]
    female, male = ((genders == name).sum() for name in ("female", "male"))
    assert weights[0] * female == pytest.approx(weights[1] * male)
    assert (weights[0] * female + weights[1] * male) / (female + male) == pytest.approx(1)
