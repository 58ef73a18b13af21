"""Means over seeds, against a table of Student's t and by hand."""

from __future__ import annotations

from typing import Any

import pytest

from agegender.report.repeats import FIGURES, estimate, one_setting, repeated, spread


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


def test_one_job_has_its_interval_over_faces() -> None:
    bounds = {"test_age_rmse_low": 7.0, "test_age_rmse_high": 9.5}
    rows = [_row(8, seed="0") | bounds, _row(7, status="failed", seed="1"), _row(None, seed="2")]
    found = estimate(rows, "test", "age_rmse")
    assert found is not None
    assert (found.n, found.mean, found.low, found.high) == (1, 8.0, 7.0, 9.5)
    several = estimate([rows[0], _row(10, seed="1")], "test", "age_rmse")
    assert several is not None
    assert several.low == pytest.approx(-3.71, abs=0.01)


def test_seeds_alone() -> None:
    rows = [_row(8, seed="0"), _row(10, seed="1"), _row(None, status="missing", seed="2")]
    table = one_setting(rows, "test", "seeds")
    assert table.rows[0] == ["age RMSE (years)", "2 of 3", "9.00 (-3.71 to 21.71)", "1.41"]


@pytest.mark.parametrize(
    ("varied", "what"),
    [(["seed"], "seeds"), (["model", "split.fold", "seed"], "seeds and folds"), (["model"], "")],
)
def test_what_is_repeated(varied: list[str], what: str) -> None:
    assert repeated(varied) == what
