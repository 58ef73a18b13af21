"""The floor that disagreeing labels of one photo put under every model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.report.label_noise import age_noise, gender_noise, label_noise_blocks
from agegender.report.page import Facts


def _photos(*ages: list[float]) -> pd.DataFrame:
    rows = [(photo, age) for photo, each in enumerate(ages) for age in each]
    return pd.DataFrame(rows, columns=["photo", "age"])


def test_two_labels_a_photo() -> None:
    """Of a pair the variance is half the squared distance."""
    assert age_noise(_photos([20, 24], [30, 30], [50])) == (2, (16 / 2 / 2) ** 0.5, 2.0)


def test_the_floor_is_the_spread_of_the_labels() -> None:
    draw = np.random.default_rng(0)
    table = _photos(*(list(draw.normal(age, 3.0, draw.integers(2, 6))) for age in draw.uniform(0, 90, 4000)))
    found = age_noise(table)
    assert found is not None
    n, floor, distance = found
    assert n == 4000
    assert floor == pytest.approx(3.0, rel=0.02)
    assert distance == pytest.approx(2 * 3.0 / np.pi**0.5, rel=0.02)  # of two normal draws


def test_the_distance_is_over_all_pairs() -> None:
    found = age_noise(_photos([10, 40, 20, 20]))
    assert found is not None
    assert found[2] == pytest.approx((30 + 10 + 10 + 20 + 20 + 0) / 6)


def test_genders() -> None:
    table = pd.DataFrame({"photo": [0, 0, 1, 1, 1, 2], "gender": ["female", "male", *["male"] * 4]})
    assert gender_noise(table) == (2, 0.5)
    three = pd.DataFrame({"photo": [0, 0, 0], "gender": ["female", "male", "male"]})
    assert gender_noise(three) == (1, 2 / 3)


def test_no_photo_has_two_labels(tmp_path: Path) -> None:
    assert label_noise_blocks(tmp_path) == []
    table = pd.DataFrame({"photo": [0, 0, 1], "age": [20.0, None, 30], "gender": ["male", None, None]})
    table.to_csv(tmp_path / "duplicates.csv", index=False)
    assert label_noise_blocks(tmp_path) == []
    table.iloc[:0].to_csv(tmp_path / "duplicates.csv", index=False)
    assert label_noise_blocks(tmp_path) == []


def test_what_is_said(tmp_path: Path) -> None:
    table = _photos([20, 24], [30, 30]).assign(gender=["male", "female", "male", "male"])
    table.to_csv(tmp_path / "duplicates.csv", index=False)
    facts = label_noise_blocks(tmp_path)[0]
    assert isinstance(facts, Facts)
    assert [value for _, value in facts.items] == [
        "2", "2.00 years", "between 1.00 and 2.00 years", "2", "50.0%", "between 50.0% and 75.0%",
    ]  # fmt: skip
