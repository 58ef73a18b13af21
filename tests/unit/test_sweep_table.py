"""The table of a sweep, from hand-made job directories."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agegender.core.files import write_json
from agegender.report.sweep import write_sweep

DEAD_PID = 999_999_999
FIGURES = ("age_rmse", "age_mae", "age_score", "gender_f1", "gender_accuracy", "harmonic_mean")


def _metrics(harmonic_mean: float | None, bounds: bool = True) -> dict[str, Any]:
    figures: dict[str, Any] = dict.fromkeys(FIGURES, 0.5) | {"age_rmse": 9.0, "harmonic_mean": harmonic_mean}
    if bounds:
        for name in FIGURES:
            figures |= {f"{name}_low": 0.25, f"{name}_high": 0.75}
    return figures


def _plan(sweep: Path, *overrides: list[str]) -> None:
    jobs = [{"number": i, "dir": str(i), "overrides": each} for i, each in enumerate(overrides)]
    write_json(sweep / "sweep.json", {"jobs": jobs, "command": "agegender-train -m loss.lambda=1,10"})


def _job(
    sweep: Path,
    number: int,
    metrics: dict[str, Any] | None = None,
    status: str = "ok",
    pid: int = DEAD_PID,
    error: str | None = None,
) -> None:
    path = sweep / str(number)
    path.mkdir()
    content = {"pid": pid, "error": error, "seconds": 61.0, "step": 5, "resumed_from_step": None}
    write_json(path / "status.json", {"status": status, **content})
    if metrics is not None:
        write_json(path / "metrics.json", metrics)
        (path / "report.html").write_text("", encoding="utf-8")


def _markdown(sweep: Path) -> str:
    return (sweep / "sweep.md").read_text(encoding="utf-8")


def test_every_state_of_a_job(tmp_path: Path) -> None:
    _plan(tmp_path, *([f"loss.lambda={i}", "seed=0"] for i in range(6)))
    _job(tmp_path, 1, {"val": _metrics(0.9), "test": _metrics(0.5)})
    _job(tmp_path, 2, status="failed", error="RunError: the loss is nan | <step 3>")
    _job(tmp_path, 3, status="running", pid=DEAD_PID)
    _job(tmp_path, 4, status="running", pid=os.getpid())
    _job(tmp_path, 5, {"val": _metrics(0.4), "test": _metrics(0.6)}, status="interrupted")
    table = write_sweep(tmp_path)
    states = ["missing", "ok", "failed", "killed", "running", "interrupted"]
    assert table["status"].tolist() == states
    assert table["job"].tolist() == table["loss.lambda"].astype(int).tolist() == list(range(6))
    assert table["error"].notna().tolist() == [state == "failed" for state in states]
    assert table["test_harmonic_mean"].notna().tolist() == [False, True, False, False, False, True]
    text = _markdown(tmp_path)
    assert "Jobs: 6 (1 missing, 1 ok, 1 failed, 1 killed, 1 running, 1 interrupted)." in text
    assert "Best harmonic mean on test: job 5 with 0.600." in text
    assert "job 2: RunError: the loss is nan \\| \\<step 3\\>" in text
    assert "[job 1](1/report.html)" in text
    assert "(2/report.html)" not in text
    assert "agegender-train -m loss.lambda=1,10" in text
    assert "| 1 | ok | 1 | 9.00 (0.25–0.75) | 0.50 (0.25–0.75) | 0.500 (0.250–0.750) |" in text
    assert "seed" not in text.split("| job")[1].split("\n")[0]


def test_the_columns_of_the_csv(tmp_path: Path) -> None:
    _plan(tmp_path, ["seed=0"], ["seed=1"])
    _job(tmp_path, 1, {"val": _metrics(0.9), "test": _metrics(1 / 3)})
    table = write_sweep(tmp_path)
    names = ("age_rmse", "age_mae", "age_score", "gender_f1", "harmonic_mean")
    points = [f"{part}_{name}" for part in ("val", "test") for name in names]
    bounds = [f"test_{name}_{bound}" for name in names for bound in ("low", "high")]
    last = ["faces_per_second", "seconds", "error", "dir"]
    assert list(table.columns) == ["job", "status", "seed", *points, *bounds, *last]
    back = pd.read_csv(tmp_path / "sweep.csv")
    assert list(back.columns) == list(table.columns)
    assert back["test_harmonic_mean"][1] == pytest.approx(1 / 3, abs=1e-9)
    assert back["dir"].tolist() == [0, 1]


def test_without_test_parts_val_counts(tmp_path: Path) -> None:
    _plan(tmp_path, ["loss.lambda=1"], ["loss.lambda=2"])
    _job(tmp_path, 0, {"val": _metrics(0.8), "test": None})
    _job(tmp_path, 1, {"val": _metrics(0.7, bounds=False), "test": None})
    table = write_sweep(tmp_path)
    assert "val_age_rmse_low" in table
    assert "test_age_rmse_low" not in table
    text = _markdown(tmp_path)
    assert "All figures are of the val part." in text
    assert "Best harmonic mean on val: job 0 with 0.800." in text
    assert "| 2 | 9.00 | 0.50 | 0.500 | 0.700 |" in text


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (("exact", "exact"), None),
        (("interval", "interval"), "All ages are"),
        (("exact", "mixed"), "Some ages are"),
    ],
)
def test_ages_that_are_intervals_are_named(
    targets: tuple[str, ...], words: str | None, tmp_path: Path
) -> None:
    _plan(tmp_path, ["seed=0"], ["seed=1"])
    for number, target in enumerate(targets):
        _job(tmp_path, number, {"val": None, "test": {**_metrics(0.5), "age_target": target}})
    write_sweep(tmp_path)
    text = _markdown(tmp_path)
    assert ("labelled as intervals" in text) == (words is not None)
    assert words is None or words in text


def test_overrides_with_odd_values(tmp_path: Path) -> None:
    odd = "data.root='/faces/a=b,c | <d>'"
    _plan(tmp_path, [odd, "model=resnet34"], [odd, "+extra=1"], ["~augment", odd])
    table = write_sweep(tmp_path)
    assert table["data.root"].unique().tolist() == ["'/faces/a=b,c | <d>'"]
    assert table["model"].tolist()[0] == "resnet34"
    assert table["model"].isna().tolist() == [False, True, True]
    assert table["extra"].tolist()[1] == "1"
    assert table["augment"].tolist()[2] == ""
    assert pd.read_csv(tmp_path / "sweep.csv")["data.root"][0] == "'/faces/a=b,c | <d>'"


def test_no_job_has_a_harmonic_mean(tmp_path: Path) -> None:
    _plan(tmp_path, ["seed=0"])
    _job(tmp_path, 0, {"val": _metrics(None), "test": _metrics(None)})
    write_sweep(tmp_path)
    assert "Best" not in _markdown(tmp_path)
    assert "| 0 | ok | 0 |" in _markdown(tmp_path)


def test_the_table_is_rebuilt_from_disk(tmp_path: Path) -> None:
    _plan(tmp_path, ["seed=0"], ["seed=1"])
    _job(tmp_path, 0, {"val": _metrics(0.5), "test": None})
    write_sweep(tmp_path)
    first = (tmp_path / "sweep.csv").read_bytes()
    _job(tmp_path, 1, {"val": _metrics(0.6), "test": None})
    assert write_sweep(tmp_path)["status"].tolist() == ["ok", "ok"]
    shutil.rmtree(tmp_path / "1")
    write_sweep(tmp_path)
    assert (tmp_path / "sweep.csv").read_bytes() == first
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"0", "sweep.json", "sweep.csv", "sweep.md", "sweep.html"}


def test_jobs_without_a_test_part_are_compared_on_val(tmp_path: Path) -> None:
    """split=random,dedup: every finished job shows a figure, all of them of one part."""
    _plan(tmp_path, ["split=random"], ["split=dedup"], ["split=dedup5"])
    _job(tmp_path, 0, {"val": _metrics(0.8), "test": None})
    _job(tmp_path, 1, {"val": _metrics(0.7), "test": _metrics(0.6)})
    table = write_sweep(tmp_path)
    assert table["test_harmonic_mean"].tolist()[1] == 0.6
    text = _markdown(tmp_path)
    assert "All figures are of the val part." in text
    assert "Some jobs have no test part" in text
    assert "| 0 | ok | random |" in text
    assert "0.800 (" in text
    assert "0.700 (" in text
    assert "0.600 (" not in text


def test_folds_are_repeats(tmp_path: Path) -> None:
    _plan(tmp_path, *([f"split.fold={fold}"] for fold in range(3)))
    for fold in range(3):
        _job(tmp_path, fold, {"val": _metrics(0.5), "test": _metrics(0.6 + fold / 10)})
    write_sweep(tmp_path)
    text = _markdown(tmp_path)
    assert "## Mean over folds" in text
    assert "3 of 3 | 0.700 (0.452–0.948)" in text  # t(2) = 4.303, sd 0.1
    assert "Folds share most of their training faces" in text
    assert "against split.fold" not in text
