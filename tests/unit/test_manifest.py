"""The checks that every source's rows pass."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agegender.config.options import DataOptions
from agegender.data.manifest import (
    COLUMNS,
    REJECTED_COLUMNS,
    Manifest,
    age_interval,
    age_midpoint,
    build_manifest,
)

OPTIONS = DataOptions(
    name="any", limit=None, image_size=None, cache="disk", max_bad=0.5, age_min=0, age_max=100
)


def build(**columns: list[Any]) -> Manifest:
    count = len(next(iter(columns.values())))
    raw = pd.DataFrame({"id": [f"face{i}" for i in range(count)], "path": ["/x.jpg"] * count, **columns})
    return build_manifest(raw, OPTIONS, terms="none", files_exist=False)


def test_types_and_missing_values() -> None:
    manifest = build(age=[3, None], gender=[float("nan"), "male"], group=["a", None])
    faces = manifest.faces
    assert tuple(faces.columns) == COLUMNS
    assert [faces[name].dtype for name in ("age", "age_min", "age_max")] == ["float64"] * 3
    assert faces["gender"].tolist() == [None, "male"]
    assert faces["group"].tolist() == ["a", None]
    assert faces["identity"].tolist() == [None, None]
    assert faces["age"][0] == 3
    assert math.isnan(faces["age"][1])
    assert manifest.rejected.empty
    assert tuple(manifest.rejected.columns) == REJECTED_COLUMNS


def test_an_age_is_exact_or_an_interval_or_unknown() -> None:
    faces = build(
        age=[3.5, None, None, None],
        age_min=[1, 10, None, 10],  # an exact age goes before an interval
        age_max=[9, 19, None, None],
        gender=["male"] * 4,
    ).faces
    assert age_interval(faces).fillna(-1).to_numpy().tolist() == [[3.5, 3.5], [10, 19], [-1, -1], [-1, -1]]
    assert age_midpoint(faces).fillna(-1).tolist() == [3.5, 14.5, -1, -1]


def test_an_interval_that_reaches_beyond_the_range_stays_whole() -> None:
    manifest = build(age_min=[90.0, 99.0], age_max=[110.0, 103.0])  # midpoints 100 and 101
    assert manifest.faces[["age_min", "age_max"]].to_numpy().tolist() == [[90, 110]]
    assert manifest.rejected["detail"].tolist() == ["101 is not in 0..100"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"age": -1.0}, "age outside range"),
        ({"age": 100.5}, "age outside range"),
        ({"age": float("inf")}, "age outside range"),
        ({"age_min": 100.0, "age_max": 110.0}, "age outside range"),
        ({"age": float("nan")}, "no label"),
        ({"age_min": 10.0}, "no label"),
    ],
    ids=str,
)
def test_rejected_with_its_reason(row: dict[str, float], reason: str) -> None:
    good = {"age": 100.0, "age_min": None, "age_max": None, "gender": "male"}
    manifest = build(**{name: [value, row.get(name)] for name, value in good.items()})
    assert manifest.faces["id"].tolist() == ["face0"]
    assert manifest.rejected[["id", "path", "reason"]].to_numpy().tolist() == [["face1", "/x.jpg", reason]]


def test_repeated_ids_become_unique() -> None:
    manifest = build(id=["a", "a", "b", "a#2", "a"], age=[1, 2, 3, 4, 5])
    ids = manifest.faces["id"]
    assert ids.is_unique
    assert ids[[0, 2]].tolist() == ["a", "b"]
    assert "2 rows repeat" in manifest.notes[0]


def test_a_missing_file_and_a_folder_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "here.jpg").touch()
    names = ["here.jpg", "gone.jpg", "", "nul\0.jpg"]
    raw = pd.DataFrame({"id": names, "path": [f"{tmp_path}/{name}" for name in names], "age": 3})
    manifest = build_manifest(raw, OPTIONS, terms="none")
    assert manifest.faces["id"].tolist() == ["here.jpg"]
    assert manifest.rejected["reason"].tolist() == ["no such file"] * 3


def test_no_rows() -> None:
    assert len(build(age=[]).faces) == 0
