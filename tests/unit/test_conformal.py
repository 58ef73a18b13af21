"""Conformal intervals against MAPIE, against what the theory promises, and on data that is hard on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from mapie.regression import SplitConformalRegressor
from sklearn.linear_model import LinearRegression

from agegender.evaluation.conformal import MIN_FACES, By, Conformal, Quantiles
from agegender.evaluation.coverage import coverage_by, covered, covered_whole, width

from ..made import predictions

LEVELS = [0.5, 0.8, 0.9, 0.95]


def _heteroscedastic(n: int, seed: int) -> pd.DataFrame:
    """The old are guessed four times as badly as the young; age_std knows it."""
    draw = np.random.default_rng(seed)
    predicted = draw.uniform(1, 89, n)
    std = np.where(predicted < 40, 2.0, 8.0)
    columns: dict[str, Any] = {
        "age_pred": predicted,
        "age": predicted + std * draw.normal(size=n),
        "age_std": std,
        "group": np.where(predicted < 40, "young", "old"),
        "cluster": np.nan,
    }
    return predictions(n).assign(**columns)


def _coverage(table: pd.DataFrame, interval_N2: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return covered(table[["age", "age"]].to_numpy(), interval_N2)


@pytest.mark.parametrize("n", [20, 99, 100, 317])
def test_quantiles_are_those_of_mapie(n: int) -> None:
    cal, new = predictions(n, seed=1), predictions(50, seed=2)
    identity = LinearRegression().fit([[0.0], [100.0]], [0.0, 100.0])
    mapie = SplitConformalRegressor(identity, confidence_level=LEVELS, prefit=True)
    mapie.conformalize(cal[["age_pred"]].to_numpy(), cal["age"].to_numpy())
    _, expected_N2L = mapie.predict_interval(new[["age_pred"]].to_numpy())
    ours = Conformal.fit(cal, "plain", "absolute", LEVELS)
    for i, level in enumerate(LEVELS):
        expected_N2 = np.maximum(expected_N2L[:, :, i], 0)
        assert ours.interval(new, level) == pytest.approx(expected_N2, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "level", "rank"), [(9, 0.9, 9), (8, 0.9, None), (99, 0.55, 55), (19, 0.95, 19)]
)
def test_the_rank_in_finite_samples(n: int, level: float, rank: int | None) -> None:
    """100 * 0.55 is a little above 55 in floats, and must not cost a rank."""
    quantiles = Quantiles.of(np.arange(1.0, n + 1), [level])
    assert quantiles.by_level[f"{level:g}"] == rank


@pytest.mark.parametrize(("n", "level"), [(79, 0.9), (20, 0.8), (40, 0.95)])
def test_the_promise_holds_over_many_splits(n: int, level: float) -> None:
    """The k-th smallest of n scores covers k / (n + 1): from the level to 1 / (n + 1) above it."""
    draw, trials = np.random.default_rng(0), 4000
    found = [Quantiles.of(draw.random(n), [level]).by_level[f"{level:g}"] for _ in range(trials)]
    covers = np.asarray(found, np.float64)  # a uniform score lies below u with chance u
    noise = 3 * covers.std() / math.sqrt(trials)
    assert level - noise <= covers.mean() <= level + 1 / (n + 1) + noise
    assert covers.mean() == pytest.approx(math.ceil((n + 1) * level) / (n + 1), abs=noise)


@pytest.mark.parametrize(("by", "score"), [("predicted_age", "absolute"), ("group", "scaled")])
def test_the_promise_holds_with_bands_of_which_some_fall_back(by: By, score: Any) -> None:
    """Calibration faces and new ones as one, over many splits; all bands' faces together keep the level."""
    rates = []
    for seed in range(80):
        table = _heteroscedastic(450, seed)
        fitted = Conformal.fit(table[:150], by, score, [0.9])
        rates.append(_coverage(table[150:], fitted.interval(table[150:], 0.9)).mean())
    noise = 3 * np.std(rates) / math.sqrt(len(rates))
    assert 0.9 - noise <= np.mean(rates) <= 0.9 + 1 / (MIN_FACES + 1) + noise


@pytest.mark.parametrize("by", ["predicted_age", "group"])
def test_each_band_or_group_is_covered_where_one_width_fails(by: By) -> None:
    cal, new = _heteroscedastic(4000, 1), _heteroscedastic(20_000, 2)
    young = (new["group"] == "young").to_numpy()
    plain = Conformal.fit(cal, "plain", "absolute", [0.9])
    hits = _coverage(new, plain.interval(new, 0.9))
    assert hits.mean() == pytest.approx(0.9, abs=0.02)
    assert hits[young].mean() > 0.99
    assert hits[~young].mean() < 0.85
    fitted = Conformal.fit(cal, by, "absolute", [0.9])
    hits = _coverage(new, fitted.interval(new, 0.9))
    assert hits[young].mean() == pytest.approx(0.9, abs=0.025)
    assert hits[~young].mean() == pytest.approx(0.9, abs=0.025)


def test_scaled_errors_give_each_face_its_width() -> None:
    cal, new = _heteroscedastic(4000, 1), _heteroscedastic(20_000, 2)
    absolute, scaled = (Conformal.fit(cal, "plain", score, [0.9]) for score in ("absolute", "scaled"))
    assert scaled.pooled.by_level["0.9"] == pytest.approx(1.645, abs=0.08)  # of a normal distribution
    intervals = scaled.interval(new, 0.9)
    hits = _coverage(new, intervals)
    for std in (2.0, 8.0):
        assert hits[new["age_std"] == std].mean() == pytest.approx(0.9, abs=0.02)
    assert np.ptp(intervals, axis=1).mean() < np.ptp(absolute.interval(new, 0.9), axis=1).mean()


def test_small_bands_and_unknown_groups_take_the_pooled_width() -> None:
    groups: list[Any] = ["big"] * 170 + ["small"] * 20 + [None] * 10
    cal = _heteroscedastic(200, 3).assign(group=groups)
    fitted = Conformal.fit(cal, "group", "absolute", [0.9])
    assert list(fitted.strata) == ["big"]
    assert fitted.too_few == {"small": 20}
    assert (fitted.strata["big"].n, fitted.pooled.n) == (170, 200)
    others: list[Any] = ["big", "small", "never seen", None]
    new = _heteroscedastic(4, 4).assign(age_pred=50.0, group=others)
    halves = np.ptp(fitted.interval(new, 0.9), axis=1) / 2
    pooled = fitted.pooled.by_level["0.9"]
    assert halves == pytest.approx([fitted.strata["big"].by_level["0.9"], pooled, pooled, pooled])


def test_bands_are_of_the_predicted_age() -> None:
    """What is not known at prediction must not choose the width."""
    cal, new = _heteroscedastic(2000, 5), _heteroscedastic(300, 6)
    fitted = Conformal.fit(cal, "predicted_age", "absolute", [0.9])
    blind = new.assign(age=np.nan, age_min=np.nan, age_max=np.nan, gender=None, group=None)
    assert np.array_equal(fitted.interval(new, 0.9), fitted.interval(blind, 0.9))
    assert len(fitted.strata) == 9


def test_a_promise_that_cannot_be_made() -> None:
    fitted = Conformal.fit(_heteroscedastic(8, 7), "plain", "absolute", [0.5, 0.9])
    assert np.isnan(fitted.interval(_heteroscedastic(3, 8), 0.9)).all()
    assert not np.isnan(fitted.interval(_heteroscedastic(3, 8), 0.5)).any()


def test_no_standard_deviation_scales_by_less_than_half_a_year() -> None:
    cal = _heteroscedastic(100, 9)
    sure = cal.assign(age_std=0.0)
    half = cal.assign(age_std=0.5)
    assert Conformal.fit(sure, "plain", "scaled", LEVELS) == Conformal.fit(half, "plain", "scaled", LEVELS)
    fitted = Conformal.fit(cal, "plain", "scaled", LEVELS)
    assert np.isnan(fitted.interval(cal.assign(age_std=np.nan), 0.9)).all()


def test_no_age_is_below_zero() -> None:
    cal = _heteroscedastic(100, 10)
    fitted = Conformal.fit(cal, "plain", "absolute", [0.95])
    intervals = fitted.interval(cal.assign(age_pred=np.linspace(-5, 3, 100)), 0.95)
    assert (intervals >= 0).all()


def test_labels_that_are_intervals() -> None:
    ages = np.array([[20.0, 29.0], [20, 29], [20, 29], [20, 29], [np.nan, np.nan]])
    predicted = np.array([[10.0, 20], [30, 40], [18, 31], [22, 24], [0, 99]])
    assert covered(ages, predicted) == pytest.approx([1, 0, 1, 1, np.nan], nan_ok=True)
    assert covered_whole(ages, predicted) == pytest.approx([0, 0, 1, 0, np.nan], nan_ok=True)
    assert width(ages, predicted) == pytest.approx([10, 10, 13, 2, np.nan], nan_ok=True)


def test_the_score_of_an_interval_is_the_distance_to_it() -> None:
    cal = predictions(50).assign(age=np.nan, age_min=30.0, age_max=39.0, age_pred=np.arange(50.0))
    fitted = Conformal.fit(cal, "plain", "absolute", [0.5])
    distances = sorted(max(30 - years, years - 39, 0) for years in range(50))
    assert fitted.pooled.by_level["0.5"] == distances[math.ceil(51 / 2) - 1]


def test_coverage_of_subgroups_is_that_of_pandas() -> None:
    table = predictions(300, seed=3).assign(group=["a"] * 200 + ["b"] * 90 + ["tiny"] * 10)
    interval = table["age_pred"].to_numpy()[:, None] + np.array([-9.0, 9.0])
    rows = coverage_by(table, interval, bootstrap=200)
    hit = (table["age"] - table["age_pred"]).abs() <= 9
    for name, expected in hit.groupby(table["group"]).mean().drop("tiny").items():
        (row,) = [row for row in rows["group"] if row["name"] == name]
        assert row["coverage"] == pytest.approx(expected)
        assert row["coverage_low"] < expected < row["coverage_high"]
        assert row["width"] == pytest.approx(18)
    assert (
        rows["group"][2] | {"name": "tiny", "n": 10, "coverage": None, "width_high": None} == rows["group"][2]
    )
    assert [row["name"] for row in rows["gender"]] == ["female", "male"]
    assert sum(row["n"] for row in rows["age"]) == 300


def test_where_all_are_covered_chance_still_has_a_say() -> None:
    """60 of 60 faces in 30 clusters: a true share of 0.025^(1/30) would do so once in forty times."""
    table = predictions(60).assign(group="a")
    (row,) = coverage_by(table, np.tile([0.0, 200.0], (60, 1)), bootstrap=50)["group"]
    assert (row["coverage"], row["coverage_high"]) == (1, 1)
    assert row["coverage_low"] == pytest.approx(0.884, abs=1e-3)


def test_ten_thousand_groups_are_told_of_by_the_largest() -> None:
    table = predictions(10_050).assign(group=[f"g{i}" for i in range(10_050)])
    table.loc[:49, "group"] = "big"
    rows = coverage_by(table, np.tile([0.0, 50.0], (10_050, 1)), bootstrap=0)["group"]
    assert len(rows) == 20
    assert rows[0]["name"] == "big"
    assert rows[0]["coverage"] is not None
    assert rows[1]["coverage"] is None
