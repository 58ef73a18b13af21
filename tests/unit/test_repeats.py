"""Means over seeds, against a table of Student's t and by hand."""

from __future__ import annotations

from typing import Any

import pytest

from agegender.report.page import Table
from agegender.report.repeats import FIGURES, repeat_blocks, spread


def _row(rmse: float | None, status: str = "ok", **overrides: str) -> dict[str, Any]:
    figures = dict.fromkeys((f"test_{name}" for name in FIGURES), None if rmse is None else 0.5)
    return {**overrides, "status": status, **figures, "test_age_rmse": rmse}


def test_the_t_interval() -> None:
    found = spread([8.0, 9.0, 10.0])
    assert found is not None
    assert (found.n, found.mean, found.sd) == (3, 9.0, 1.0)
    assert found.high == pytest.approx(9 + 4.303 / 3**0.5, abs=1e-3)  # t of 2 degrees of freedom
    assert found.low == pytest.approx(9 - 4.303 / 3**0.5, abs=1e-3)


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    found = spread([8.0])
    assert found is not None
    assert (found.mean, found.sd, found.low, found.high) == (8.0, None, None, None)
    assert spread([]) is None


def test_a_row_a_setting() -> None:
    rows = [_row(8, model="a", seed="0"), _row(10, model="a", seed="1"), _row(6, model="b", seed="0")]
    rows += [_row(7, status="failed", model="b", seed="1"), _row(None, status="missing", model="c", seed="0")]
    table = repeat_blocks(rows, ["model", "seed"], "test")[-1]
    assert isinstance(table, Table)
    assert table.headers[:3] == ["model", "seeds", "age RMSE (years)"]
    assert [row[:2] for row in table.rows] == [["a", "2 of 2"], ["b", "1 of 2"], ["c", "0 of 1"]]
    assert [row[2] for row in table.rows] == ["9.00 (-3.71–21.71)", "6.00", "–"]


def test_seeds_alone() -> None:
    rows = [_row(8, seed="0"), _row(10, seed="1"), _row(None, status="missing", seed="2")]
    table = repeat_blocks(rows, ["seed"], "test")[-1]
    assert isinstance(table, Table)
    assert table.rows[0] == ["age RMSE (years)", "2 of 3", "9.00 (-3.71–21.71)", "1.41"]


def test_nothing_to_average() -> None:
    assert repeat_blocks([_row(8, model="a"), _row(9, model="b")], ["model"], "test") == []
    rows = [_row(8, model="a", seed="0"), _row(9, model="b", seed="1")]
    assert repeat_blocks(rows, ["model", "seed"], "test") == []
