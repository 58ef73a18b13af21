"""A run from the command line: its files, its figures, and that the same seed gives the same bits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.metrics import f1_score

from agegender.core.files import read_json, read_yaml
from agegender.evaluation.table import COLUMNS

from .conftest import TINY, Call

FILES = {
    "config.yaml",
    "calibration.json",
    "status.json",
    "train.log",
    "split.csv",
    "duplicates.csv",
    "rejected.csv",
    "dataset.json",
    "history.csv",
    "metrics.json",
    "fairness.csv",
    "fairness.json",
    "age_gate.csv",
    "age_gate.json",
    "predictions.csv",
    "uncertainty.json",
    "report.md",
    "report.html",
    "explain.npz",
    "worst.npz",
    "model_card.md",
    "plots",
    "checkpoints",
    ".hydra",
}

HISTORY = [
    "epoch", "phase", "step", "lr_heads", "lr_backbone", "train_age_loss", "train_gender_loss",
    "val_age_loss", "val_gender_loss", "val_age_rmse", "val_gender_f1", "val_harmonic_mean",
    "weight_age", "weight_gender", "grad_norm", "grad_samples", "shared_grad_age", "shared_grad_gender",
    "grad_cosine", "grad_conflicts", "skipped_steps", "seconds", "images_per_second",
]  # fmt: skip


def test_a_run_directory_is_complete(tiny_run: Path) -> None:
    assert {path.name for path in tiny_run.iterdir()} == FILES
    status = read_json(tiny_run / "status.json")
    assert status["status"] == "ok"
    assert status["error"] is None
    assert status["step"] == 4  # 56 training faces, batches of 32, two epochs
    assert status["resumed_from_step"] is None
    config = read_yaml(tiny_run / "config.yaml")
    assert config["loss"] == {
        "lambda": 50.0, "age_unit": "years",
        "label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0,
        "age_weights": None, "lds_sigma": 2.0, "group_weights": None, "group_dro": None,
    }  # fmt: skip
    assert "${" not in (tiny_run / "config.yaml").read_text(encoding="utf-8")


def test_history_has_a_row_an_epoch(tiny_run: Path) -> None:
    history = pd.read_csv(tiny_run / "history.csv")
    assert list(history.columns) == HISTORY
    assert history["epoch"].tolist() == [1, 2]
    assert history["step"].tolist() == [2, 4]
    assert (history["weight_gender"] == 50).all()
    assert (history["weight_age"] == 1).all()


def test_metrics_follow_from_the_predictions(tiny_run: Path) -> None:
    table = pd.read_csv(tiny_run / "predictions.csv")
    assert list(table.columns) == list(COLUMNS)
    split = pd.read_csv(tiny_run / "split.csv")
    assert split["split"].value_counts().to_dict() == {"train": 56, "test": 12, "val": 8, "cal": 4}
    assert sorted(table["id"]) == sorted(split.loc[split["split"] != "train", "id"])
    metrics = read_json(tiny_run / "metrics.json")
    for part in ("val", "test"):
        rows = table[table["split"] == part]
        rmse = ((rows["age"] - rows["age_pred"]) ** 2).mean() ** 0.5
        f1 = f1_score(rows["gender"], rows["gender_pred"], average="macro", zero_division=0)
        assert metrics[part]["n"] == len(rows)
        assert metrics[part]["age_rmse"] == pytest.approx(rmse, rel=1e-6)
        assert metrics[part]["gender_f1"] == pytest.approx(f1)
        assert metrics[part]["age_rmse_low"] <= rmse <= metrics[part]["age_rmse_high"]


def test_four_cal_faces_promise_little(tiny_run: Path) -> None:
    """The third of four errors covers half of the ages, the fourth four in five; none covers 0.9 of them."""
    table = pd.read_csv(tiny_run / "predictions.csv")
    cal = table[table["split"] == "cal"]
    errors = sorted((cal["age"] - cal["age_pred"]).abs())
    quantiles = read_json(tiny_run / "calibration.json")["ages"]["pooled"]["by_level"]
    assert [quantiles["0.5"], quantiles["0.8"]] == pytest.approx(errors[2:], rel=1e-6)
    assert quantiles["0.9"] is quantiles["0.95"] is None
    assert table["age_low"].isna().all()
    test = table[table["split"] == "test"]
    figures = read_json(tiny_run / "metrics.json")["test"]
    hits = (test["age"] - test["age_pred"]).abs() <= errors[2]
    assert figures["age_coverage_50"] == pytest.approx(hits.mean())
    assert figures["age_coverage_90"] is None
    assert "level 0.9: 4 cal faces are too few" in (tiny_run / "report.md").read_text(encoding="utf-8")


def test_the_best_checkpoint_stands_on_its_own(tiny_run: Path) -> None:
    with safe_open(tiny_run / "checkpoints" / "best.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["input_spec"])["size"] == 16
    assert json.loads(metadata["label_spec"])["genders"] == ["female", "male"]
    assert "must not be used on photographs" in json.loads(metadata["data"])["terms"]
    last = torch.load(tiny_run / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["position"] == {"phase": "all", "epoch": 2, "epoch_step": 0, "step": 4}


def test_the_report_is_one_self_contained_page(tiny_run: Path) -> None:
    page = (tiny_run / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    assert "must not be used on photographs" in page


def test_the_same_seed_gives_the_same_bits(tiny_run: Path, call: Call, workdir: Path) -> None:
    assert call("train", *TINY, "hydra.run.dir=again").code == 0
    assert call("train", *TINY, "seed=1", "hydra.run.dir=other").code == 0

    def weights(run: Path) -> dict[str, bytes]:
        tensors = load_file(run / "checkpoints" / "best.safetensors")
        return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}

    def untimed(run: Path) -> pd.DataFrame:
        return pd.read_csv(run / "history.csv").drop(columns=["seconds", "images_per_second"])

    assert weights(workdir / "again") == weights(tiny_run)
    pd.testing.assert_frame_equal(untimed(workdir / "again"), untimed(tiny_run), check_exact=True)
    assert weights(workdir / "other") != weights(tiny_run)
    same_split = pd.read_csv(workdir / "other" / "split.csv")["split"]
    assert same_split.equals(pd.read_csv(tiny_run / "split.csv")["split"])


def test_outputs_are_timestamped_and_never_shared(call: Call, workdir: Path) -> None:
    quick = (*TINY, "trainer.max_steps=1")
    done = call("train", *quick)
    assert done.code == 0, done.err
    assert call("train", *quick).code == 0
    runs = sorted(path.parent for path in workdir.glob("outputs/*/*/status.json"))
    assert len(runs) == 2
    assert f"report: {runs[0] / 'report.html'}" in done.out
    assert read_json(runs[0] / "status.json")["step"] == 1
    assert (runs[0] / "predictions.csv").exists()


def test_two_phases_leave_the_backbone_alone_first(call: Call, workdir: Path) -> None:
    phases = ("schedule=two_phase", "schedule.phases.heads.epochs=1", "schedule.phases.all.epochs=1")
    done = call("train", *TINY[:-1], *phases, "hydra.run.dir=run")
    assert done.code == 0, done.err
    assert "trains heads on frozen random weights" in done.out
    history = pd.read_csv(workdir / "run" / "history.csv")
    assert history["phase"].tolist() == ["heads", "all"]
    assert history["lr_backbone"].isna().tolist() == [True, False]


def test_an_infinite_loss_fails_the_run_and_names_step_and_task(call: Call, workdir: Path) -> None:
    done = call("train", *TINY, "schedule.optimizer=sgd", "schedule.phases.all.lr=100", "hydra.run.dir=run")
    assert done.code == 1
    assert re.search(r"step \d: the ((val )?age loss|gradient's norm) is (nan|inf)", done.err), done.err
    status = read_json(workdir / "run" / "status.json")
    assert status["status"] == "failed"
    assert re.search("age loss|gradient", status["error"])
    assert (workdir / "run" / "report.html").exists()
    assert "Traceback" in (workdir / "run" / "train.log").read_text(encoding="utf-8")


def test_a_batch_too_small_for_batch_normalisation_is_said(call: Call, workdir: Path) -> None:
    small = ("data.n=40", "data.image_size=32", "trainer.batch_size=1", "hydra.run.dir=run")
    done = call("train", "model=resnet34", "model.weights=null", *small)
    assert done.code == 1
    assert "trainer.batch_size" in done.err
    assert len(done.err.splitlines()) == 1
    assert read_json(workdir / "run" / "status.json")["status"] == "failed"


def test_a_run_directory_of_any_name(call: Call, workdir: Path) -> None:
    done = call("train", *TINY, "trainer.max_steps=1", "hydra.run.dir=runs/my run (1), ümläut/${data.n}")
    assert done.code == 0, done.err
    assert (workdir / "runs" / "my run (1), ümläut" / "80" / "report.html").exists()


def test_random_split_is_the_published_one(call: Call, workdir: Path) -> None:
    done = call("train", *TINY, "split=random", "trainer.max_steps=1", "hydra.run.dir=run")
    assert done.code == 0, done.err
    metrics = read_json(workdir / "run" / "metrics.json")
    assert metrics["test"] is None
    assert metrics["val"]["n"] == 16
    assert "same faces" in (workdir / "run" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_usable(number: signal.Signals, call: Call, workdir: Path) -> None:
    script = Path(sys.executable).with_name("agegender-train")
    arguments = [
        *TINY[:-1],
        "schedule.phases.all.epochs=100000",
        "schedule.patience=null",
        "hydra.run.dir=run",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [script, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 120
    while not (workdir / "run" / "checkpoints" / "last.ckpt").exists() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert read_json(workdir / "run" / "status.json")["status"] == "interrupted"
    assert (workdir / "run" / "report.html").exists()
    done = call("predict", "run=run", f"input={_one_face(workdir)}", "output=out.csv")
    assert done.code == 0, done.err


def _one_face(folder: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (20, 20), (200, 150, 120)).save(folder / "face.png")
    return folder / "face.png"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train", ["-m", "published/model2", "\n  resume ", "trainer.checkpoint_every", "sweep.resume"]),
        ("tune", ["*lambda, rates", "\n  resume ", "trials", "sampler_seed", "trainer.max_steps"]),
    ],
)
def test_help_is_readable_and_does_not_import_torch(name: str, words: list[str]) -> None:
    code = (
        f"import sys; from agegender.cli.{name} import ENTRY; from agegender.config.entry import run_entry\n"
        "code = run_entry(ENTRY, ['--help'])\n"
        "assert code == 0 and not {'torch', 'optuna'} & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    for word in ("usage:", "model", "scratch_cnn_v2", "loss.lambda", *words):
        assert word in done.stdout


def test_version_and_cfg(call: Call) -> None:
    assert call("train", "--version").out.startswith("agegender ")
    shown = call("train", "--cfg", "job", "data=utkface", "loss.lambda=7")
    assert shown.code == 0
    assert "lambda: 7" in shown.out


def test_losses_are_means_over_the_faces_that_have_the_label(call: Call, workdir: Path) -> None:
    """Whatever the batch size: at a learning rate that moves nothing the mean is one number."""
    rng = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(workdir / f"{i}.png")
    ages = [20.0 + i if i % 4 == 0 else None for i in range(40)]
    pd.DataFrame({"path": [f"{i}.png" for i in range(40)], "age": ages}).to_csv("faces.csv", index=False)
    losses = []
    for size in (2, 8, 32):
        done = call(
            "train", *TINY[:1], *TINY[2:-1], "data=csv", "data.csv=faces.csv", "data.columns.gender=null",
            "trainer.monitor=age_rmse", "split=random", "schedule.phases.all.epochs=1", "data.max_bad=1",
            "schedule.phases.all.lr=1e-12", f"trainer.batch_size={size}", f"hydra.run.dir=run{size}",
        )  # fmt: skip
        assert done.code == 0, done.err
        history = pd.read_csv(workdir / f"run{size}" / "history.csv")
        losses.append(history["train_age_loss"][0])
        assert history["train_gender_loss"].isna().all()
        assert not (workdir / f"run{size}" / "plots" / "gender_loss.png").exists()
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-4)


def test_early_stopping_says_so(call: Call, workdir: Path) -> None:
    still = ("schedule.phases.all.lr=1e-12", "schedule.patience=1", "schedule.phases.all.epochs=5")
    done = call("train", *TINY[:-1], *still, "hydra.run.dir=run")
    assert done.code == 0, done.err
    assert "stopped early in front of epoch 3" in done.out
    assert len(pd.read_csv(workdir / "run" / "history.csv")) == 2


def test_a_failed_start_may_be_corrected_in_place(call: Call, workdir: Path) -> None:
    (workdir / "empty").mkdir()
    quick = [line for line in TINY if not line.startswith("data.n=")]
    done = call("train", *quick, "data=utkface", "data.root=empty", "hydra.run.dir=run")
    assert done.code == 2
    assert call("train", *TINY, "hydra.run.dir=run").code == 0
    assert call("train", *TINY, "hydra.run.dir=run").code == 2
    assert "need the path" in call("train", *TINY, "hydra.run.dir=").err


def test_a_reader_that_leaves_does_not_end_the_run(workdir: Path) -> None:
    script = Path(sys.executable).with_name("agegender-train")
    arguments = " ".join([*TINY, "schedule.phases.all.epochs=30", "schedule.patience=null"])
    done = subprocess.run(
        ["bash", "-c", f"{script} {arguments} hydra.run.dir=run | head -1"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "scratch_cnn" in done.stdout
    until = time.monotonic() + 60
    while read_json(workdir / "run" / "status.json")["status"] == "running" and time.monotonic() < until:
        time.sleep(0.1)
    assert read_json(workdir / "run" / "status.json")["status"] == "ok"
