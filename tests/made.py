"""Directories of runs and sweeps as training would leave them, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from agegender.core.files import write_json, write_yaml
from agegender.evaluation.table import COLUMNS, write_predictions

DEAD_PID = 999_999_999
CONSTANT = {"age_rmse": 20.0, "age_mae": 16.0, "age_score": 1 / 3, "gender_f1": 0.34, "harmonic_mean": 0.337}


def figures(rmse: float, f1: float, half: float | None = 0.01) -> dict[str, Any]:
    """A part's figures that agree with one another, with bounds `half` to either side."""
    score = 1 - min(rmse, 30) / 30
    points = {
        "age_rmse": rmse,
        "age_mae": 0.8 * rmse,
        "age_score": score,
        "gender_f1": f1,
        "gender_accuracy": f1,
        "harmonic_mean": 2 * score * f1 / (score + f1),
    }
    bounds = {} if half is None else _bounds(points, half)
    return points | bounds | {f"constant_{name}": value for name, value in CONSTANT.items()}


def _bounds(points: Mapping[str, float], half: float) -> dict[str, float]:
    return {
        f"{name}_{bound}": value + sign * (30 * half if "rmse" in name or "mae" in name else half)
        for name, value in points.items()
        for bound, sign in (("low", -1), ("high", 1))
    }


def make_run(
    path: Path,
    test: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    status: str = "ok",
    speeds: Sequence[float] = (),
    split_sha256: str = "aa11",
) -> Path:
    """`test` None: it ended before it was judged; `speeds` are images_per_second of its epochs."""
    path.mkdir(parents=True)
    content = {"pid": DEAD_PID, "error": None, "seconds": 61.0, "step": 5, "resumed_from_step": None}
    write_json(path / "status.json", {"status": status, **content})
    write_json(path / "dataset.json", {"split_sha256": split_sha256})
    if config is not None:
        write_yaml(path / "config.yaml", dict(config))
    if test is not None:
        write_json(path / "metrics.json", {"val": dict(test), "test": dict(test)})
        (path / "report.html").write_text("", encoding="utf-8")
    if speeds:
        pd.DataFrame({"phase": "all", "images_per_second": speeds}).to_csv(path / "history.csv", index=False)
    return path


def make_sweep(path: Path, overrides: Sequence[Sequence[str]]) -> Path:
    """The plan alone; jobs are made by `make_run(path / "0", ...)`."""
    path.mkdir(parents=True, exist_ok=True)
    jobs = [{"number": i, "dir": str(i), "overrides": list(each)} for i, each in enumerate(overrides)]
    write_json(path / "sweep.json", {"jobs": jobs, "command": "agegender-train -m loss.lambda=1,10"})
    return path


def predictions(n: int = 200, seed: int = 0, spread: float = 8.0, bias: float = 1.0) -> pd.DataFrame:
    """Faces (the same for every `seed`), their predictions drawn anew; clusters of two."""
    faces, draw = np.random.default_rng(7), np.random.default_rng([seed, 1])
    age = faces.integers(1, 90, n).astype(float)
    female = faces.random(n) < 0.5
    said = np.where(draw.random(n) < 0.85, female, ~female)
    table = pd.DataFrame(
        {
            "id": [f"face{i}" for i in range(n)],
            "path": [f"face{i}.jpg" for i in range(n)],
            "split": "test",
            "age": age,
            "gender": np.where(female, "female", "male"),
            "cluster": np.arange(n) // 2,
            "age_pred": age + draw.normal(bias, spread, n),
            "gender_pred": np.where(said, "female", "male"),
            "gender_prob": np.where(said, 0.9, 0.1),
        }
    )
    return table.reindex(columns=list(COLUMNS))


def add_predictions(run: Path, table: pd.DataFrame) -> None:
    write_predictions(table, run / "predictions.csv")


FAIRFACE_BINS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")


def make_fairface(folder: Path, count: int = 36) -> Path:
    """A folder as FairFace publishes it, of noise: every third face in val, bins and genders in turn."""
    lines = {"train": ["file,age,gender,race"], "val": ["file,age,gender,race"]}
    for i in range(count):
        part = "val" if i % 3 == 2 else "train"
        (folder / part).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / part / f"{i}.png")
        age, gender = FAIRFACE_BINS[i % len(FAIRFACE_BINS)], ("Female", "Male")[i % 2]
        lines[part].append(f"{part}/{i}.png,{age},{gender},White")
    for part, rows in lines.items():
        (folder / f"fairface_label_{part}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder
