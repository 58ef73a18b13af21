"""The faces that a network is most wrong about: which they are, and how the report shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from agegender.core.errors import UserError
from agegender.engine.worst import WORST, write_worst
from agegender.report.page import Gallery
from agegender.report.worst import worst_blocks

from ..made import predictions

FACES = np.arange(40, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 8, 8, 3), np.uint8)
"""Face i has the value i."""


def _table() -> pd.DataFrame:
    """Rows 0 to 9 of the test part are right; of the others some are wrong, and so is a face of val."""
    table = predictions(20).assign(
        age=30.0, age_pred=30.0, gender="male", gender_pred="male", gender_prob=0.1
    )
    changed: dict[str, dict[int, Any]] = {
        "age": {17: np.nan},
        "gender": {16: None},
        "split": {19: "val"},
        "age_pred": {10: 31.0, 11: 80.0, 12: 10.0, 13: 30.5, 17: 99.0, 19: 100.0},
        "gender_pred": dict.fromkeys((14, 15, 16, 19), "female"),
        "gender_prob": {14: 0.6, 15: 0.99, 16: 1.0},
    }
    for name, values in changed.items():
        table[name] = [values.get(row, value) for row, value in enumerate(table[name])]
    return table


def _written(folder: Path, table: pd.DataFrame) -> dict[str, np.ndarray]:
    write_worst(folder, FACES, np.arange(len(table)) + 20, table)  # type: ignore[arg-type]
    with np.load(folder / WORST) as file:
        return {name: file[name] for name in file.files}


def test_the_worst_of_the_judged_part_come_first(tmp_path: Path) -> None:
    found = _written(tmp_path, _table())
    assert found["id"].tolist() == [f"face{i}" for i in (11, 12, 10, 13, 15, 14)]
    assert found["task"].tolist() == ["age"] * 4 + ["gender"] * 2
    assert found["face"][:, 0, 0, 0].tolist() == [31, 32, 30, 33, 35, 34]


def test_no_more_than_six_a_task(tmp_path: Path) -> None:
    found = _written(tmp_path, _table().assign(age_pred=np.arange(20), gender_pred="female"))
    assert found["task"].tolist() == ["age"] * 6 + ["gender"] * 6


def test_an_age_within_its_interval_is_not_wrong(tmp_path: Path) -> None:
    table = _table().assign(age=np.nan, age_min=20.0, age_max=39.0)
    assert _written(tmp_path, table)["id"].tolist()[:3] == ["face17", "face11", "face12"]


def test_nothing_is_wrong(tmp_path: Path) -> None:
    write_worst(tmp_path, FACES, np.arange(10), _table()[:10])  # type: ignore[arg-type]
    assert not (tmp_path / WORST).exists()
    assert worst_blocks(tmp_path, _table()) == []


def test_the_galleries(tmp_path: Path) -> None:
    _written(tmp_path, _table())
    ages, genders = worst_blocks(tmp_path, _table())
    assert isinstance(ages, Gallery)
    assert isinstance(genders, Gallery)
    assert [words for _, words in ages.items][:2] == [
        ("labelled 30", "predicted 80"), ("labelled 30", "predicted 10"),
    ]  # fmt: skip
    assert [words for _, words in genders.items] == [
        ("labelled male", "P(female) 0.99"), ("labelled male", "P(female) 0.60"),
    ]  # fmt: skip
    with Image.open(genders.items[0][0]) as photo:
        assert photo.size == (160, 160)
        assert photo.getpixel((80, 80)) == pytest.approx((35, 35, 35), abs=2)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    _written(tmp_path, _table())
    with pytest.raises(UserError, match=r"worst\.npz is damaged"):
        worst_blocks(tmp_path, _table()[:5])
    (tmp_path / WORST).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"worst\.npz is damaged"):
        worst_blocks(tmp_path, _table())
