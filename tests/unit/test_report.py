"""The report of a run, from hand-made run directories: finished, killed, and everything between."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from agegender.core.errors import UserError
from agegender.core.files import read_json, write_json, write_yaml
from agegender.core.types import GENDERS
from agegender.evaluation.metrics import metrics
from agegender.evaluation.table import COLUMNS, read_predictions, write_predictions
from agegender.evaluation.uncertainty import Evidence, uncertainty_metrics
from agegender.report import plots
from agegender.report.figures import judged_part
from agegender.report.run import summary_line, write_report
from agegender.report.status import is_run, is_sweep, read_status

DEAD_PID = 999_999_999
CURVES = {"age_loss.png", "gender_loss.png", "val_age_rmse.png", "val_gender_f1.png"}
PICTURES = {"age_scatter.png", "error_by_age.png", "confusion_matrix.png", "gender_uncertainty.png"}


def _predictions(n: int = 120, parts: tuple[str, ...] = ("val", "cal", "test")) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    age, gender = draw.integers(1, 90, n).astype(float), draw.choice(GENDERS, n)
    prob = np.clip(np.where(gender == "female", 0.7, 0.3) + draw.normal(0, 0.2, n), 0, 1)
    table = pd.DataFrame(
        {
            "id": [f"{i}.jpg" for i in range(n)],
            "path": "/faces/x.jpg",
            "split": np.resize(parts, n),
            "age": age,
            "gender": gender,
            "cluster": np.arange(n),
            "age_pred": age + draw.normal(0, 8, n),
            "gender_pred": np.where(prob >= 0.5, "female", "male"),
            "gender_prob": prob,
        }
    )
    return table.reindex(columns=list(COLUMNS))


def _history(epochs: int = 6) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "phase": np.where(epoch <= 2, "heads", "all"),
            "step": 10 * epoch,
            "lr_heads": 1e-3,
            "lr_backbone": np.where(epoch <= 2, 0, 1e-4),
            "train_age_loss": 900 / epoch,
            "train_gender_loss": 0.6 / epoch,
            "val_age_loss": 950 / epoch,
            "val_gender_loss": 0.65 / epoch,
            "val_age_rmse": [12.0, 11.0, 9.0, 10.0, 10.5, 11.0][:epochs],
            "val_gender_f1": [0.7, 0.75, 0.8, 0.82, 0.81, 0.8][:epochs],
            "val_harmonic_mean": [0.6, 0.65, 0.7, 0.72, 0.71, 0.7][:epochs],
            "weight_age": 1.0,
            "weight_gender": 50.0,
            "seconds": 3.0,
            "images_per_second": 100.0,
        }
    )


def _status(path: Path, status: str = "ok", pid: int = DEAD_PID, error: str | None = None) -> None:
    content = {"pid": pid, "error": error, "seconds": 75.4, "step": 60, "resumed_from_step": None}
    write_json(path / "status.json", {"status": status, **content})


def _dataset(**changes: Any) -> dict[str, Any]:
    dataset = {
        "source": "csv",
        "terms": "CC BY 4.0",
        "notes": ["odd | note"],
        "rows": 1234,
        "used": 1229,
        "rejected": {"no such file": 5},
        "parts": {"train": 1109, "val": 40, "cal": 40, "test": 40},
        "clusters": 3,
        "split": "dedup",
        "split_sha256": "ab" * 32,
        "age_mean": 33.3,
        "age_std": 19.9,
    }
    return dataset | changes


COPIES = {
    "copies": {
        "exact": 2, "exact_surplus": 3, "near": 4, "near_files": 9, "photos": 6, "conflicts": 5,
        "conflicts_age": 4, "conflicts_gender": 1, "largest": 3, "clusters": 6, "age_gap_mean": 3.94,
    },
    "split_how": "train 90%, val 10% of the faces",
    "near_duplicates": 0.9,
    "conflicts": "first",
    "leaks": {"clusters": 0, "faces": {"train": 0, "val": 0, "cal": 0, "test": 0}, "examples": []},
    "balance": {"gender": {"female": {"all": 500, "train": 400, "val": 20, "cal": 40, "test": 40}}},
}  # fmt: skip


def test_how_the_split_was_made(untrained: Path) -> None:
    write_json(untrained / "dataset.json", _dataset(**COPIES))
    text = _markdown(untrained)
    assert "split: dedup: train 90%, val 10% of the faces" in text
    assert "identical files: 2 contents, 3 surplus files" in text
    assert "near-duplicates: 4 photos in 9 files, correlation at least 0.9" in text
    assert "labels disagree: 5 of 6 photos with several files (4 in age, 1 in gender); only the first" in text
    assert "ages given to one photo: 3.9 years on average" in text
    assert "No leak between the parts (files of one photo; identities are not known)." in text
    assert "| gender female | 500 | 80.0% | 4.0% | 8.0% | 8.0% |" in text
    assert "Warning" not in text.split("## Split")[1].split("## What")[0].split("## Published")[0]


def test_no_leak_is_said_only_as_far_as_it_was_looked_for(untrained: Path) -> None:
    write_json(untrained / "dataset.json", _dataset(**COPIES) | {"near_duplicates": None, "identities": True})
    text = _markdown(untrained)
    assert "**Warning:** No leak between the parts (identical files were looked for, near-duplicates" in text
    assert "and faces of one identity" in text


def test_a_photo_of_very_many_files_is_warned_of(untrained: Path) -> None:
    many = {**COPIES["copies"], "largest": 121}  # type: ignore[dict-item]
    write_json(untrained / "dataset.json", _dataset(**COPIES) | {"copies": many})
    assert "**Warning:** One photo seems to have very many files." in _markdown(untrained)


def test_the_largest_of_many_groups_are_shown(untrained: Path) -> None:
    groups = {f"g{i:03d}": {"all": i + 1, "train": i + 1} for i in range(80)}
    write_json(untrained / "dataset.json", _dataset(**COPIES) | {"balance": {"group": groups}})
    text = _markdown(untrained)
    assert "group g079" in text
    assert "group g060" in text
    assert "group g059" not in text
    assert "| 60 more |" in text


def test_a_leak_is_a_warning_that_names_faces(untrained: Path) -> None:
    leaks = {
        "clusters": 12,
        "faces": {"train": 0, "val": 11, "test": 2},
        "examples": [{"id": f"v{i}.jpg", "part": "val", "train": f"t{i}.jpg"} for i in range(5)],
    }
    write_json(untrained / "dataset.json", _dataset(**COPIES) | {"leaks": leaks, "near_duplicates": None})
    text = _markdown(untrained)
    assert "**Warning:** Leak: 11 of 40 val faces and 2 of 40 test faces are in train as well" in text
    assert "12 clusters lie in more than one part" in text
    assert "v2.jpg (val) and t2.jpg (train)" in text
    assert "v3.jpg" not in text
    assert "near-duplicates: not looked for" in text


CONFIG = {
    "seed": 3,
    "data": {"name": "csv", "root": "/faces/a <b> & | c", "limit": 500},
    "model": {"name": "resnet34"},
    "loss": {"lambda": 50.0},
    "trainer": {"monitor": "age_rmse"},
    "evaluation": {"rmse_cap": 20.0, "bootstrap": 30},
}


def _fill(path: Path) -> Path:
    """The files of a finished run, but for its report."""
    path.mkdir()
    _status(path)
    write_yaml(path / "config.yaml", CONFIG)
    write_json(path / "dataset.json", _dataset())
    rejected = pd.DataFrame({"id": ["a", "b", "c"], "path": "x", "reason": "no such file", "detail": ""})
    rejected.to_csv(path / "rejected.csv", index=False)
    _history().to_csv(path / "history.csv", index=False)
    write_predictions(_predictions(), path / "predictions.csv")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return _fill(tmp_path / "run")


@pytest.fixture
def untrained(run: Path) -> Path:
    """Without history, which saves drawing the curves."""
    (run / "history.csv").unlink()
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report, to look at only."""
    path = _fill(tmp_path_factory.mktemp("report") / "run")
    write_report(path)
    return path


def _text(run: Path) -> str:
    return (run / "report.md").read_text(encoding="utf-8")


def _markdown(run: Path) -> str:
    write_report(run)
    return _text(run)


def _pictures(run: Path) -> set[str]:
    return {path.name for path in (run / "plots").iterdir()}


def test_a_finished_run(finished: Path) -> None:
    run, text = finished, _text(finished)
    assert _pictures(run) == CURVES | PICTURES
    for name in _pictures(run):
        assert f"](plots/{name})" in text
    figures = read_json(run / "metrics.json")
    table = read_predictions(run / "predictions.csv")
    assert set(figures) == {"val", "test"}
    for part in ("val", "test"):
        rows = table[table["split"] == part]
        assert figures[part].items() >= metrics(rows, rmse_cap=20, bootstrap=30).items()
        assert figures[part].items() >= uncertainty_metrics(rows, Evidence(), bootstrap=30).items()
    row = next(line for line in text.splitlines() if line.startswith("| age RMSE"))
    test, val = figures["test"], figures["val"]
    for name in ("age_rmse", "age_rmse_low", "age_rmse_high", "constant_age_rmse"):
        assert f"{test[name]:.2f}" in row
    assert f"{val['age_rmse']:.2f}" in row
    assert "Warning" not in text
    assert "scored on the same faces" not in text


def test_what_the_report_tells(finished: Path) -> None:
    run, text = finished, _text(finished)
    for words in (
        "Status: ok, step 60 after 0:01:15.",
        "- model: resnet34",
        "- loss.lambda: 50.0",
        "- source: csv",
        "- terms: CC BY 4.0",
        "- rows listed: 1,234, of which data.limit draws 500",
        "- rejected: 3 no such file",
        "- faces used: 1,229 (train 1,109, val 40, cal 40, test 40)",
        "- note: odd \\| note",
        "ab" * 32,
        "Best val age\\_rmse: 9 in epoch 3.",
        "other data, other split",
        "| 128.39\\* | 0.8784 | 0 |",
        "| 10.93 | 0.8618 | 0.732 |",
        "| 8.46 | 0.9157 | 0.805 |",
        "its root is 11.33",
        "scores 38.8",
        "no identity check and no proof of age",
        "serve evaluation only",
        "Python 3.",
        "torch 2.",
    ):
        assert words in text, words
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block
    assert yaml.safe_load(block[1]) == CONFIG
    html = (run / "report.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 8
    assert "/faces/a &lt;b&gt; &amp; | c" in html


def test_a_report_is_a_function_of_its_directory(finished: Path, run: Path) -> None:
    write_report(run)
    files = [path.relative_to(run) for path in run.rglob("*") if path.is_file()]
    assert len(files) == 23
    for name in files:
        assert (run / name).read_bytes() == (finished / name).read_bytes(), name


def test_pictures_are_small_and_leave_no_state(run: Path) -> None:
    write_predictions(_predictions(20_000, ("test",)), run / "predictions.csv")
    with mpl.rc_context({"savefig.dpi": "figure"}):
        write_report(run)
    for path in (run / "plots").iterdir():
        assert path.stat().st_size < 150_000, path.name
        with Image.open(path) as image:
            assert min(image.size) >= 400
            assert len(image.convert("RGB").getcolors(10**6) or []) > 20, path.name
    pyplot = __import__("sys").modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_the_share_of_age_in_the_loss(finished: Path) -> None:
    """150 years squared against 50 times 0.1."""
    assert "age made up 97% of their sum" in _text(finished)


def test_without_a_test_part(untrained: Path) -> None:
    write_predictions(_predictions(parts=("val",)), untrained / "predictions.csv")
    write_json(untrained / "dataset.json", _dataset(split="random"))
    text = _markdown(untrained)
    assert "selected and scored on the same faces" in text
    figures = read_json(untrained / "metrics.json")
    assert figures["test"] is None
    assert judged_part(figures) == "val"
    assert summary_line(untrained).startswith("val, 120 faces: age RMSE ")


def test_an_evaluation_has_a_test_part_alone(untrained: Path) -> None:
    write_predictions(_predictions(parts=("test",)), untrained / "predictions.csv")
    write_json(untrained / "dataset.json", _dataset(split=None))
    text = _markdown(untrained)
    assert read_json(untrained / "metrics.json")["val"] is None
    assert "split: none: all faces are test" in text
    assert "## Training" not in text
    assert _pictures(untrained) == PICTURES | {"fairness.png"}
    assert summary_line(untrained).startswith("test, 120 faces: age RMSE ")


def test_no_rows_to_judge(untrained: Path) -> None:
    write_predictions(_predictions().assign(split=None), untrained / "predictions.csv")
    assert "neither test nor val rows" in _markdown(untrained)
    assert read_json(untrained / "metrics.json") == {"val": None, "test": None}
    assert "neither test nor val rows" in summary_line(untrained)


def test_a_task_without_labels(run: Path) -> None:
    write_predictions(_predictions().assign(age=np.nan), run / "predictions.csv")
    missing = dict.fromkeys(("train_age_loss", "val_age_loss", "val_age_rmse", "val_harmonic_mean"), np.nan)
    _history().assign(**missing).to_csv(run / "history.csv", index=False)
    text = _markdown(run)
    of_gender = {"gender_loss.png", "val_gender_f1.png", "confusion_matrix.png", "gender_uncertainty.png"}
    assert _pictures(run) == of_gender
    assert "| age RMSE (years) | – | – | – |" in text
    assert "Of the test faces 0 have an age, 40 a gender." in text
    assert "nan" not in text
    assert json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]["age_rmse"] is None


def test_ages_as_intervals_are_marked(untrained: Path) -> None:
    table = _predictions()
    table = table.assign(age_min=table["age"] - 2, age_max=table["age"] + 2, age=np.nan)
    write_predictions(table, untrained / "predictions.csv")
    text = _markdown(untrained)
    assert "All ages are labelled as intervals: their error is the distance to the interval" in text
    assert "| age RMSE to the midpoint (years) | " in text
    assert "| age in its interval (whole years) | " in text
    assert "All ages are labelled as intervals" in (untrained / "report.html").read_text("utf-8")
    assert "in the grey boxes of intervals" in text
    write_predictions(
        table.assign(age=np.where(table.index % 2, 30.0, np.nan)), untrained / "predictions.csv"
    )
    assert "Some ages are labelled as intervals" in _markdown(untrained)


def test_collapse_is_shown(untrained: Path) -> None:
    write_predictions(_predictions().assign(age_pred=33.0, gender_pred="male"), untrained / "predictions.csv")
    text = _markdown(untrained)
    assert "**Warning:** The predicted age is nearly constant" in text
    assert "**Warning:** Every face is predicted male" in text


def test_drawn_faces_are_marked(untrained: Path) -> None:
    write_json(untrained / "dataset.json", _dataset(source="synthetic"))
    assert "must not be used on photographs" in _markdown(untrained)


def test_no_intervals_without_resamples(untrained: Path) -> None:
    write_yaml(untrained / "config.yaml", CONFIG | {"evaluation": {"bootstrap": 0}})
    assert "95 %" not in _markdown(untrained)
    assert "(" not in summary_line(untrained).replace("(constant", "")


@pytest.mark.parametrize("epochs", [0, 1, 6])
def test_a_killed_run_shows_what_there_is(epochs: int, run: Path) -> None:
    (run / "predictions.csv").unlink()
    _status(run, "running")
    _history()[:epochs].to_csv(run / "history.csv", index=False)
    text = _markdown(run)
    assert "**Warning:** Status: killed, step 60" in text
    assert "No predictions were written" in text
    assert _pictures(run) == (CURVES if epochs else set())
    assert not (run / "metrics.json").exists()
    assert (run / "report.html").exists()


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    _status(tmp_path, "failed", error="UnusableData: 12 % of <rows> | cannot be used")
    pd.DataFrame({"id": ["a", "b"], "path": "x", "reason": ["no label", "no label"], "detail": ""}).to_csv(
        tmp_path / "rejected.csv", index=False
    )
    text = _markdown(tmp_path)
    assert (
        "Status: failed, step 60 after 0:01:15. UnusableData: 12 % of \\<rows\\> \\| cannot be used" in text
    )
    assert "rejected: 2 no label" in text


def test_an_empty_directory(tmp_path: Path) -> None:
    assert "no status.json" in _markdown(tmp_path)


def test_a_damaged_table_is_the_users(untrained: Path) -> None:
    write_predictions(_predictions().assign(gender_prob=2), untrained / "predictions.csv")
    with pytest.raises(UserError, match="gender_prob is 2"):
        write_report(untrained)


def test_status_of_a_process(tmp_path: Path) -> None:
    assert read_status(tmp_path / "nowhere")["status"] == "missing"
    for status in ("ok", "failed", "interrupted"):
        _status(tmp_path, status)
        assert read_status(tmp_path)["status"] == status
    _status(tmp_path, "running", pid=os.getpid())
    assert read_status(tmp_path)["status"] == "running"
    _status(tmp_path, "running", pid=DEAD_PID)
    assert read_status(tmp_path)["status"] == "killed"
    (tmp_path / "status.json").write_text("{", encoding="utf-8")
    assert read_status(tmp_path)["status"] == "killed"


def test_runs_and_sweeps_are_told_apart(run: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "sweep.json", {})
    assert (is_run(run), is_sweep(run)) == (True, False)
    assert (is_run(tmp_path), is_sweep(tmp_path)) == (False, True)
    assert not is_run(tmp_path / "nowhere")


def test_bands_of_age() -> None:
    table = _predictions(5).assign(age=[0, 2.5, 70, 116, np.nan], age_pred=[3, 0.5, 60, 120, 50])
    bands = plots.error_bands(table)
    assert bands.index.tolist() == ["0–2", "70+"]
    assert bands["n"].tolist() == [2, 2]
    assert bands["mae"].tolist() == [2.5, 7]
    assert bands["bias"].tolist() == [0.5, -3]


def test_bands_take_the_distance_to_an_interval() -> None:
    faces = _predictions(3).assign(age=np.nan, age_min=20.0, age_max=29.0)
    bands = plots.error_bands(faces.assign(age_pred=[25, 17, 30]))
    assert bands.to_numpy().tolist() == [[3, 4 / 3, -2 / 3]]
    assert bands.index.tolist() == ["20–29"]
