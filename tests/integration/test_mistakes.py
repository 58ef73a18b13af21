"""A mistake costs a line or two that name the thing, exit code 2, and nothing is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from .conftest import TINY, Call

# (entry, arguments, what the message must hold)
COMMAND_LINES = [
    ("train", ["loss.lamda=50"], ["loss.lamda", "did you mean 'loss.lambda'"]),
    ("train", ["lambda=50"], ["lambda", "loss.lambda"]),
    ("train", ["modle=resnet34"], ["modle", "did you mean 'model'"]),
    ("train", ["model=resnet43"], ["resnet43", "did you mean 'resnet34'"]),
    ("train", ["data=utk"], ["utk", "did you mean 'utkface'"]),
    ("train", ["experiment=published/model9"], ["model9", "published/model"]),
    ("train", ["loss.lambda=-1"], ["loss.lambda=-1", "greater than or equal to 0"]),
    ("train", ["loss.lambda=nan"], ["loss.lambda=nan", "finite"]),
    ("train", ["loss.lambda=fifty"], ["loss.lambda=fifty", "number"]),
    ("train", ["loss.lambda="], ["loss.lambda", "number"]),
    ("train", ["loss.lambda=1,10"], ["loss.lambda=1,10", "-m"]),
    ("train", ["loss=50"], ["loss", "50"]),
    ("train", ["loss.age_weights=inv"], ["loss.age_weights=inv", "sqrt_inverse"]),
    ("train", ["loss.lds_sigma=-1"], ["loss.lds_sigma=-1", "0"]),
    ("train", ["loss.group_dro=0"], ["loss.group_dro=0", "greater than 0"]),
    ("train", ["trainer.sampling=gender"], ["trainer.sampling=gender", "uniform"]),
    (
        "train",
        ["trainer.sampling=age", "loss.age_weights=inverse"],
        ["trainer.sampling=age and loss.age_weights", "choose one"],
    ),
    ("train", ["seed=-1"], ["seed=-1"]),
    ("train", ["seed=1.5"], ["seed=1.5", "integer"]),
    ("train", ["trainer.batch_size=0"], ["trainer.batch_size=0", "1"]),
    ("train", ["trainer.batch_size=many"], ["trainer.batch_size=many"]),
    ("train", ["trainer.accelerator=tpu"], ["trainer.accelerator=tpu", "cpu"]),
    ("train", ["trainer.accelerator=cuda"], ["trainer.accelerator=cuda", "not on this machine"]),
    ("train", ["trainer.devices=0"], ["trainer.devices=0", "1"]),
    ("train", ["trainer.devices=1024", "trainer.accelerator=cpu"], ["trainer.devices=1024", "CPU cores"]),
    ("train", ["trainer.devices=two"], ["trainer.devices=two", "integer"]),
    ("train", ["trainer.num_nodes=2"], ["trainer.num_nodes=2", "torchrun", "srun"]),
    ("train", ["-m", "hydra/launcher=slurmy", "seed=1,2"], ["hydra/launcher=slurmy", "no such launcher"]),
    ("train", ["trainer.precision=16"], ["trainer.precision=16", "bf16"]),
    ("train", ["trainer.monitor=loss"], ["trainer.monitor=loss", "age_rmse"]),
    ("train", ["trainer.max_steps=0"], ["trainer.max_steps=0"]),
    ("train", ["schedule.phases.all.lr=0"], ["schedule.phases.all.lr=0"]),
    ("train", ["schedule.phases.all.epochs=0"], ["schedule.phases.all.epochs=0"]),
    ("train", ["schedule.phases.all.trainable=neck"], ["trainable=neck", "heads"]),
    ("train", ["schedule.phases.all.trainable=[]"], ["trainable=[]", "last_stage"]),
    ("train", ["schedule.phases.all.trainable=backbone.x.*"], ["no parameter matches 'backbone.x.*'"]),
    ("train", ["data.image_size=4"], ["data.image_size=4"]),
    ("train", ["model=resnet34", "data.image_size=16"], ["data.image_size=16", "resnet34", "32"]),
    ("train", ["attention=cbma"], ["cbma", "did you mean 'cbam'"]),
    ("train", ["attention=cbam", "attention.kernel_size=4"], ["attention.kernel_size=4", "3, 5 or 7"]),
    ("train", ["attention=se", "attention.reduction=0"], ["attention.reduction=0", "1"]),
    ("train", ["attention=self_attention", "attention.heads=7"], ["attention.heads=7", "256 channels"]),
    (
        "train",
        ["model=timm", "model.backbone=vit_tiny_patch16_224", "attention=cbam"],
        ["attention=cbam needs feature maps", "model=timm says tokens"],
    ),
    (
        "train",
        [
            "schedule=two_phase",
            "schedule.phases.all.trainable=backbone.net.layer9.*",
            "model=resnet18",
        ],
        ["no parameter matches 'backbone.net.layer9.*'"],
    ),
    ("train", ["model.sharing=soft"], ["model.sharing=soft", "split_last_stage"]),
    ("train", ["report.images=maybe"], ["report.images=maybe", "boolean"]),
    ("train", ["data.max_bad=2"], ["data.max_bad=2"]),
    ("train", ["data.age_min=50", "data.age_max=40"], ["data.age_min=50", "data.age_max=40"]),
    ("train", ["data=utkface"], ["data.root is required"]),
    ("train", ["data=utkface", "data.root=nowhere"], ["data.root", "no such folder"]),
    ("train", ["data=csv", "data.csv=nowhere.csv"], ["data.csv", "no such file"]),
    ("train", ["model.weights=nowhere.pth"], ["model.weights", "nowhere.pth"]),
    (
        "train",
        ["model=scratch_cnn", "model.weights=imagenet"],
        ["model.weights=imagenet", "no published weights"],
    ),
    ("train", ["split.val=0.5"], ["split", "add up to 1"]),
    ("train", ["split=dedup5", "split.fold=5"], ["split.fold=5", "less than 5"]),
    ("train", ["split=dedup5", "split.fold=-1"], ["split.fold=-1", "0"]),
    ("train", ["split.fold=1"], ["split.fold is a key of split=dedup5 only"]),
    ("train", ["sweep=folds"], ["split.fold is a key of split=dedup5 only"]),
    ("train", ["data.root=x"], ["data.root is a key of", "data=utkface"]),
    ("train", ["split=dedup6"], ["dedup6", "did you mean 'dedup"]),
    ("train", ["split.conflicts=ask"], ["split.conflicts=ask", "keep", "drop", "first"]),
    ("train", ["split.near_duplicates=0.5"], ["split.near_duplicates=0.5", "0.8"]),
    ("train", ["augment.flip=2"], ["augment.flip=2"]),
    ("train", ["loss.lambda=-1"], ["loss.lambda=-1", "0"]),
    ("train", ["loss.lambda=inf"], ["loss.lambda=inf", "finite"]),
    ("train", ["loss.lambda=.nan"], ["loss.lambda=", "number"]),
    ("train", ["loss.age_unit=months"], ["loss.age_unit=months", "years", "std"]),
    ("train", ["balancer=pcgard"], ["pcgard", "did you mean 'pcgrad'"]),
    ("train", ["balancer=fixed", "balancer.alpha=1"], ["balancer.alpha", "gradnorm"]),
    ("train", ["balancer=gradnorm", "balancer.alpha=-1"], ["balancer.alpha=-1", "0"]),
    ("train", ["balancer=pcgrad", "loss.lambda=0"], ["loss.lambda=0", "balancer=pcgrad", "age_only"]),
    ("train", ["balancer.diagnose_every=0"], ["balancer.diagnose_every=0", "1"]),
    ("train", ["evaluation.rmse_cap=0"], ["evaluation.rmse_cap=0"]),
    ("train", ["evaluation.by=[camera]"], ["evaluation.by", "no column camera", "identity"]),
    ("train", ["evaluation.by=camera"], ["evaluation.by=camera", "list"]),
    ("train", ["evaluation.min_group=1"], ["evaluation.min_group=1", "2"]),
    ("train", ["+model.colour=red"], ["model.colour", "no such key"]),
    ("train", ["data.n=(1"], ["data.n=(1"]),
    ("train", ["-m", "loss.lambda=1,-2"], ["loss.lambda=-2"]),
    ("train", ["-m", "loss.lambda=1,2", "model=scratch_cnn,alexnet"], ["alexnet"]),
    ("train", ["-m", "data=utkface", "data.root=a,b"], ["data.root", "no such folder", "comma"]),
    ("train", ["sweep=lambda"], ["unknown sweep option 'lambda'", "lambda_grid"]),
    ("train", ["sweep=null"], ["unknown sweep option 'null'", "lambda_grid"]),
    ("train", ["sweep="], ["sweep option ''", "lambda_grid"]),
    ("train", ["model=null"], ["unknown model option 'null'", "resnet34"]),
    ("train", ["sweep=lambda_grid,seeds"], ["sweep=lambda_grid,seeds", "one preset at a time"]),
    ("train", ["sweep=lambda_grid", "seed=0,-1"], ["seed=-1"]),
    ("train", ["+sweep.again=yes"], ["again", "sweep.resume"]),
    ("train", ["sweep.resum=there"], ["did you mean 'sweep.resume'"]),
    ("train", ["sweep.resume="], ["sweep.resume=", "directory"]),
    ("train", ["sweep.resume=nowhere"], ["sweep.resume=nowhere", "no such folder"]),
    ("train", ["sweep.resume=a, b (c)", "-m"], ["sweep.resume=a, b (c): no such folder"]),
    ("train", ["sweep.resume=."], ["sweep.resume=.", "no sweep.json"]),
    ("train", ["sweep.resume=.", "sweep.resume=.."], ["names one sweep, not 2"]),
    ("evaluate", ["run=.", "data=synthetic", "sweep.resume=."], ["sweep"]),
    *[
        ("train", [f"trainer.checkpoint_every={value}"], ["trainer.checkpoint_every=", "null", "5min", "24h"])
        for value in (
            "0",
            "-1",
            "1.5",
            "true",
            "5m",
            "'5 min'",
            "0s",
            "25h",
            "''",
            "-5s",
            "1e3",
            "2000000000",
        )
    ],
    ("train", ["resume="], ["resume=", "directory"]),
    ("train", ["resume=nowhere"], ["resume=", "nowhere", "no such folder"]),
    ("train", ["resume=a, b (c)"], ["a, b (c): no such folder"]),
    ("train", ["resume=."], ["holds no run", "status.json"]),
    ("train", ["resume=/dev/null"], ["resume=/dev/null", "is not a folder"]),
    ("train", ["resume=.", "resume=.."], ["names one run, not 2"]),
    ("train", ["resume=.", "-m"], ["resume", "-m"]),
    ("train", ["resume=.", "sweep=seeds"], ["resume", "does not sweep"]),
    ("train", ["resume=.", "seed=1"], ["seed=1", "trainer.max_steps and trainer.accelerator"]),
    ("train", ["resume=.", "+seed=1"], ["seed=1", "only trainer.max_steps"]),
    ("train", ["resume=.", "model=resnet34"], ["model=resnet34", "only trainer.max_steps"]),
    ("train", ["resume=.", "hydra.run.dir=a"], ["hydra.run.dir", "only trainer.max_steps"]),
    ("train", ["resume=.", "sweep.resume=."], ["sweep.resume", "only trainer.max_steps"]),
    ("train", ["resume=.", "--config-dir", "."], ["--config-dir", "only trainer.max_steps"]),
    ("train", ["resume=.", "trainer.max_steps=1,2"], ["several values"]),
    ("evaluate", ["run=.", "data=synthetic", "resume=."], ["resume"]),
    ("train", ["hydra.run.dir=/proc/nowhere/run"], ["cannot make the run directory /proc/nowhere/run"]),
    ("train", ["--frobnicate"], ["--frobnicate"]),
    ("train", ["--config-name", "other"], ["--config-dir"]),
    ("train", ["--config-dir", "nowhere"], ["nowhere", "no such folder"]),
    ("evaluate", ["run=nowhere", "data=synthetic"], ["run", "no such file"]),
    ("evaluate", ["data=synthetic"], ["exactly one of run=DIR", "predictions=FILE.csv", "not none"]),
    ("evaluate", ["run=.", "ensemble=[.,..]"], ["exactly one of", "not run and ensemble"]),
    ("evaluate", ["run=."], ["run=", "best.safetensors"]),
    ("evaluate", ["run=/dev/null"], ["run=/dev/null", "data="]),
    ("evaluate", ["run=.", "faces=unseen"], ["faces=unseen", "data="]),
    ("evaluate", ["run=.", "data.limit=5"], ["data.limit"]),
    ("evaluate", ["run=.", "uncertainty=dropout"], ["unknown uncertainty option 'dropout'", "mc_dropout"]),
    ("evaluate", ["ensemble=[]"], ["two runs or more, not 0"]),
    ("evaluate", ["ensemble=[.]"], ["two runs or more, not 1"]),
    ("evaluate", ["ensemble=[.,folder.csv/..]"], ["names one run twice"]),
    ("evaluate", ["ensemble=[.,nowhere]"], ["ensemble", "nowhere", "no such file"]),
    ("evaluate", ["ensemble=[.,/dev/null]"], ["/dev/null is a file"]),
    ("evaluate", ["ensemble=[.,..]"], ["is no run", "dataset.json"]),
    ("evaluate", ["ensemble=[.,..]", "data=synthetic"], ["best.safetensors"]),
    ("evaluate", ["ensemble=[.,..]", "uncertainty=tta"], ["each run of an ensemble", "uncertainty="]),
    ("evaluate", ["ensemble=[.,..]", "faces=unseen"], ["faces=unseen", "data="]),
    ("evaluate", ["predictions=nowhere.csv"], ["predictions=", "nowhere.csv", "no such file"]),
    ("evaluate", ["predictions=folder.csv"], ["predictions=", "is not a file"]),
    ("evaluate", ["run=.", "data=synthetic"], ["run=", "best.safetensors"]),
    ("evaluate", ["-m", "run=.", "data=synthetic"], ["does not sweep"]),
    ("predict", ["input=."], ["run is required"]),
    ("predict", ["run=.", "input=nowhere", "output=x.csv"], ["input", "no such file"]),
    ("predict", ["run=.", "input=.", "output=x.txt"], ["output", ".csv"]),
    ("predict", ["run=.", "input=.", "output=nowhere/x.csv"], ["output", "no such folder"]),
    ("predict", ["run=.", "input=.", "output=x.csv", "uncertainty=tt"], ["did you mean 'tta'"]),
    (
        "predict",
        [
            "run=.",
            "input=.",
            "output=x.csv",
            "uncertainty=tta",
            "uncertainty.flip=false",
            "uncertainty.crop=0",
        ],
        ["uncertainty", "flip=false and crop=0"],
    ),
    ("predict", ["run=.", "input=.", "output=x.csv", "uncertainty.passes=5"], ["uncertainty.passes"]),
    ("predict", ["run=.", "input=.", "output=x.csv", "format=xml"], ["format=xml", "submission"]),
    (
        "predict",
        ["run=.", "input=.", "output=x.csv", "gender_codes.male=0"],
        ["gender_codes", "two different"],
    ),
    ("predict", ["run=.", "input=.", "output=x.csv"], ["no image"]),
    ("predict", ["run=.", "input=.", "output=folder.csv"], ["output", "is a folder"]),
    ("predict", ["run=.", "input=.", "output=/proc/x.csv"], ["output=/proc/x.csv", "cannot be written"]),
    ("train", ["-m", "seed=1,2", "hydra.sweep.subdir=a"], ["hydra.sweep.subdir", "hydra.sweep.dir"]),
    ("tune", ["search=lamda"], ["unknown search option 'lamda'", "did you mean 'lambda'"]),
    ("tune", ["search=lambda", "loss.lambda=5"], ["loss.lambda=5", "the search varies loss.lambda"]),
    ("tune", ["+search.sed={low: 1, high: 3}"], ["unknown key 'sed'", "did you mean 'seed'"]),
    ("tune", ["+search.seed={low: -1, high: 3}"], ["seed=-1"]),
    ("tune", ["+search.seed={low: 3, high: 1}"], ["search.seed", "low=3", "high=1"]),
    ("tune", ["+search.seed={choices: []}"], ["search.seed.choices", "at least 1"]),
    ("tune", ["sampler=cmaes"], ["sampler=cmaes", "tpe"]),
    ("tune", ["pruner=hyperband"], ["pruner=hyperband", "median"]),
    ("tune", ["trials=0"], ["trials=0"]),
    ("tune", ["timeout=5m"], ["timeout=5m", "90min"]),
    ("tune", ["trails=5"], ["trails", "did you mean 'trials'"]),
    ("tune", ["loss.lamda=5"], ["did you mean 'loss.lambda'"]),
    ("tune", ["seed=1,2"], ["seed=1,2 holds several values: it takes one"]),
    ("tune", ["-m", "seed=1,2"], ["agegender-tune does not sweep"]),
    ("tune", ["sweep=seeds"], ["agegender-tune does not sweep"]),
    ("tune", ["resume="], ["resume=", "directory of a search"]),
    ("tune", ["resume=nowhere"], ["nowhere", "no such folder"]),
    ("tune", ["resume=."], ["holds no search", "tune.json"]),
    ("tune", ["resume=.", "resume=.."], ["names one search, not 2"]),
    ("tune", ["data=utkface"], ["data.root is required"]),
    ("report", ["runs=[]"], ["runs"]),
    ("report", ["runs=[nowhere]"], ["runs", "no such file"]),
    ("report", ["runs=[.]"], ["neither a run nor a sweep"]),
    ("report", [], ["runs=[DIR,DIR]", "compare=[RUN_A,RUN_B]", "neither"]),
    ("report", ["runs=[.]", "compare=[.,.]"], ["runs=[DIR,DIR]", "both"]),
    ("report", ["compare=[.]"], ["two runs, not 1"]),
    ("report", ["compare=[.,.,.]"], ["two runs, not 3"]),
    ("report", ["compare=[.,nowhere]"], ["compare", "no such file"]),
    ("report", ["compare=[.,.]"], ["compare names one run twice"]),
    ("report", ["compare=[.,/]"], ["is no run"]),
    ("report", ["runs=[.]", "output=there"], ["output is for several directories"]),
]


def _is_short(err: str) -> bool:
    return len(err.strip().splitlines()) <= 2 and "Traceback" not in err


@pytest.mark.parametrize(("entry", "arguments", "words"), COMMAND_LINES, ids=lambda v: str(v)[:60])
def test_command_line(entry: str, arguments: list[str], words: list[str], call: Call, workdir: Path) -> None:
    (workdir / "folder.csv").mkdir()
    done = call(entry, *arguments)
    assert done.code == 2, done.err
    assert _is_short(done.err), done.err
    for word in words:
        assert word in done.err
    unfinished = entry == "evaluate" or "imagenet" in str(arguments)
    assert unfinished or not (workdir / "outputs").exists()


def _faces(folder: Path, count: int = 40) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        names.append(f"{i}.png")
    return names


def _table(folder: Path, *, first: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A labelled CSV of 40 photographs: columns changed as a whole, or in the first four rows."""
    names = _faces(folder)
    table = pd.DataFrame({"path": names, "age": range(1, 41), "gender": [i % 2 for i in range(40)]})
    for column, value in changes.items():
        table[column] = value
    for column, value in (first or {}).items():
        table[column] = table[column].astype(object)
        table.loc[:3, column] = value
    table.to_csv(folder / "faces.csv", index=False)
    return folder / "faces.csv"


CODES = "data.gender_codes={0:male,1:female}"
TABLES = [
    ({}, [], ["gender", "code"]),  # no declared code map
    ({}, ["data.gender_codes={0:man,1:woman}"], ["gender_codes"]),
    ({}, [CODES, "data.columns.age=years"], ["years"]),
    ({}, [CODES, "data.columns.path=file"], ["file"]),
    ({}, [CODES, "data.columns.age=null", "data.columns.gender=null"], ["age", "gender"]),
    ({"gender": np.nan}, [CODES], ["trainer.monitor=harmonic_mean", "gender"]),
    ({"age": np.nan}, [CODES], ["trainer.monitor=harmonic_mean", "age"]),
    (
        {"gender": np.nan},
        [CODES, "trainer.monitor=age_rmse", "balancer=pcgrad"],
        ["balancer=pcgrad", "label for gender", "balancer=fixed"],
    ),
    (
        {"age": np.nan},
        [CODES, "trainer.monitor=gender_f1", "balancer=age_only"],
        ["balancer=age_only", "label for age"],
    ),
    (
        {},
        [CODES, "trainer.sampling=group"],
        ["trainer.sampling=group: none of the", "has a group", "data.columns.group"],
    ),
    ({}, [CODES, "split=column"], ["split"]),
    ({"split": "holdout"}, [CODES, "split=column", "data.columns.split=split"], ["holdout"]),
    ({"split": "train"}, [CODES, "split=column", "data.columns.split=split"], ["val"]),
    ({}, [CODES, "data.limit=3"], ["3"]),
    ({}, [CODES, "data.limit=6", "split=dedup5"], ["split=dedup5 needs at least", "found 6 among 6 files"]),
    ({"gender": 1}, [CODES], ["one gender only", "female", "loss.lambda=0"]),
    ({"gender": 0}, [CODES, "trainer.monitor=age_rmse", "split=random"], ["one gender only", "male"]),
    (
        {"id": "one person"},
        [CODES, "data.columns.identity=id"],
        ["at least", "found 1 among 40 files"],
    ),
]


@pytest.mark.parametrize(("changes", "arguments", "words"), TABLES, ids=lambda v: str(v)[:60])
def test_labelled_tables(
    changes: dict[str, Any], arguments: list[str], words: list[str], call: Call, workdir: Path
) -> None:
    file = _table(workdir / "photos", **changes)
    done = call("train", *TINY[:1], *TINY[2:], "data=csv", f"data.csv={file}", *arguments)
    assert done.code == 2, done.err
    assert _is_short(done.err), done.err
    for word in words:
        assert word in done.err


UNREADABLE = [
    ({"age": 300}, "age outside range"),
    ({"age": "old"}, "unreadable age"),
    ({"gender": 7}, "unknown gender"),
    ({"path": "missing.png"}, "no such file"),
]


@pytest.mark.parametrize(("changes", "reason"), UNREADABLE, ids=str)
def test_too_many_bad_rows_fail_the_run_and_are_listed(
    changes: dict[str, Any], reason: str, call: Call, workdir: Path
) -> None:
    file = _table(workdir / "photos", first=changes)
    done = call("train", *TINY[:1], *TINY[2:], "data=csv", f"data.csv={file}", CODES, "hydra.run.dir=run")
    assert done.code == 1, done.err
    assert "10.00% of the rows cannot be used, more than data.max_bad" in done.err
    assert _is_short(done.err), done.err
    assert pd.read_csv(workdir / "run" / "rejected.csv")["reason"].tolist() == [reason] * 4


def test_damaged_images_are_listed(call: Call, workdir: Path) -> None:
    file = _table(workdir / "photos")
    (workdir / "photos" / "3.png").write_bytes(b"no image")
    done = call("train", *TINY[:1], *TINY[2:], "data=csv", f"data.csv={file}", CODES, "hydra.run.dir=run")
    assert done.code == 1
    assert "2.50% of the rows" in done.err
    done = call(
        "train",
        *TINY[:1],
        *TINY[2:],
        "data=csv",
        f"data.csv={file}",
        CODES,
        "data.max_bad=0.1",
        "hydra.run.dir=run2",
    )
    assert done.code == 0, done.err
    assert len(pd.read_csv(workdir / "run2" / "rejected.csv")) == 1


def test_a_finished_directory_is_not_overwritten(tiny_run: Path, call: Call) -> None:
    before = (tiny_run / "status.json").read_bytes()
    done = call("train", *TINY, f"hydra.run.dir={tiny_run}")
    assert done.code == 2
    assert "already holds a run" in done.err
    assert (tiny_run / "status.json").read_bytes() == before


@pytest.mark.parametrize("damage", ["truncated", "text", "foreign", "other model"])
def test_damaged_checkpoints(damage: str, tiny_run: Path, call: Call, workdir: Path) -> None:
    import json

    from safetensors import safe_open
    from safetensors.torch import save_file

    shutil.copytree(tiny_run, workdir / "run")
    file = workdir / "run" / "checkpoints" / "best.safetensors"
    with safe_open(file, framework="pt") as opened:
        metadata, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "text":
        file.write_text("no checkpoint")
    elif damage == "foreign":
        save_file(tensors, file)
    else:
        config = json.loads(metadata["config"])
        config["model"] = {"name": "scratch_cnn_v2", "weights": None, "dropout": [0.5, 0.3]}
        save_file(tensors, file, {**metadata, "config": json.dumps(config)})
    _faces(workdir / "photos", 2)
    done = call("predict", "run=run", "input=photos", "output=out.csv")
    assert done.code == 2, done.err
    assert "run=" in done.err
    assert _is_short(done.err), done.err
    assert not (workdir / "out.csv").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["train", "loss.lamda=50"], "did you mean 'loss.lambda'"),
        (["train", "data=utkface", "data.root=~/no such (folder)"], "no such folder"),
        (["predict", "run=nowhere", "input=.", "output=x.csv"], "run"),
    ],
)
def test_through_the_real_command(command: list[str], words: str, tmp_path: Path) -> None:
    name, *arguments = command
    script = Path(sys.executable).with_name(f"agegender-{name}")
    done = subprocess.run(
        [script, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert _is_short(done.stderr)
    assert not any(tmp_path.iterdir())


def test_full_errors_on_request(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("agegender-train")
    environment = {**os.environ, "HYDRA_FULL_ERROR": "1"}
    done = subprocess.run(
        [script, "seed=x"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "seed=x" in done.stderr
