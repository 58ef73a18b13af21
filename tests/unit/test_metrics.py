"""Figures against scikit-learn, closed forms and a plain bootstrap loop."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, mean_squared_error

from agegender.core.types import GENDERS
from agegender.evaluation.age_figures import age_error
from agegender.evaluation.metrics import FIGURES, INTERVAL_FIGURES, metrics, point_metrics


def _table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Ages known in two of three rows, an interval in the third; one gender in ten unknown."""
    draw = np.random.default_rng(seed)
    age = draw.integers(1, 90, n).astype(float)
    exact = np.arange(n) % 3 > 0
    gender = draw.choice(GENDERS, n).astype(object)
    prob = np.clip(0.5 + 0.25 * (gender == "female") - 0.12 + draw.normal(0, 0.2, n), 0, 1)
    gender[::10] = None
    return pd.DataFrame(
        {
            "age": np.where(exact, age, np.nan),
            "age_min": np.where(exact, np.nan, age - 2),
            "age_max": np.where(exact, np.nan, age + 3),
            "gender": gender,
            "cluster": np.arange(n) // 4,
            "age_pred": age + draw.normal(1, 8, n),
            "gender_pred": np.where(prob >= 0.5, "female", "male"),
            "gender_prob": prob,
        }
    )


def _midpoint(table: pd.DataFrame) -> pd.Series[float]:
    return table["age"].fillna((table["age_min"] + table["age_max"]) / 2)


def _nearest(table: pd.DataFrame) -> pd.Series[float]:
    """The labelled age that is nearest to the predicted one."""
    low, high = (table["age"].fillna(table[end]) for end in ("age_min", "age_max"))
    return table["age_pred"].clip(low, high)


def _twice(ages_N: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Exact ages as intervals."""
    return np.stack([ages_N, ages_N], axis=1)


def _harmonic(rmse: float, f1: float, cap: float = 30.0) -> float:
    score = 1 - min(rmse, cap) / cap
    return 2 * score * f1 / (score + f1) if score + f1 else 0.0


def _macro_f1(table: pd.DataFrame) -> float:
    known = table[table["gender"].notna()]
    return float(
        f1_score(known["gender"], known["gender_pred"], labels=GENDERS, average="macro", zero_division=0)
    )


def test_figures_are_those_of_scikit_learn() -> None:
    table = _table()
    known = table[table["gender"].notna()]
    figures = metrics(table, rmse_cap=20, bootstrap=0)
    rmse = math.sqrt(mean_squared_error(_nearest(table), table["age_pred"]))
    assert figures["age_rmse"] == pytest.approx(rmse)
    assert figures["age_mae"] == pytest.approx(mean_absolute_error(_nearest(table), table["age_pred"]))
    to_midpoint = math.sqrt(mean_squared_error(_midpoint(table), table["age_pred"]))
    assert figures["age_rmse_midpoint"] == pytest.approx(to_midpoint)
    assert to_midpoint > rmse + 0.1
    assert figures["age_score"] == pytest.approx(1 - rmse / 20)
    assert figures["gender_f1"] == pytest.approx(_macro_f1(table))
    assert figures["gender_accuracy"] == pytest.approx(accuracy_score(known["gender"], known["gender_pred"]))
    assert figures["harmonic_mean"] == pytest.approx(_harmonic(rmse, _macro_f1(table), 20))
    assert (figures["n"], figures["n_age"], figures["n_gender"]) == (200, 200, 180)
    assert figures["n_clusters"] == 50
    assert figures["age_target"] == "mixed"


def test_exact_ages_are_scored_as_by_scikit_learn() -> None:
    table = _table().assign(age=_midpoint(_table()))
    figures = metrics(table, bootstrap=0)
    rmse = math.sqrt(mean_squared_error(table["age"], table["age_pred"]))
    assert figures["age_rmse"] == pytest.approx(rmse, rel=1e-14)
    mae = mean_absolute_error(table["age"], table["age_pred"])
    assert figures["age_mae"] == pytest.approx(mae, rel=1e-14)
    assert not figures.keys() & set(INTERVAL_FIGURES)


def test_intervals_by_hand() -> None:
    """Inside, below, above; an exact age; an age that nobody knows."""
    nan = np.nan
    table = _table(5).assign(
        age=[nan, nan, nan, 40.0, nan],
        age_min=[20.0, 20.0, 70.0, nan, nan],
        age_max=[29.0, 29.0, 90.0, nan, nan],
        age_pred=[27.0, 19.6, 93.0, 38.0, 99.0],
    )
    error = [0, -0.4, 3, -2]
    ages_N2 = table[["age_min", "age_max"]].assign(
        age_min=[20, 20, 70, 40, nan], age_max=[29, 29, 90, 40, nan]
    )
    assert age_error(ages_N2.to_numpy(), table["age_pred"].to_numpy())[:4] == pytest.approx(error)
    figures = metrics(table, bootstrap=0)
    assert figures["age_rmse"] == pytest.approx(math.sqrt((0.16 + 9 + 4) / 4))
    assert figures["age_mae"] == pytest.approx(5.4 / 4)
    assert figures["age_score"] == pytest.approx(1 - figures["age_rmse"] / 30)
    assert figures["age_rmse_midpoint"] == pytest.approx(math.sqrt((2.5**2 + 4.9**2 + 13**2 + 4) / 4))
    assert figures["age_interval_hit"] == pytest.approx(2 / 3)  # 19.6 is 20 in whole years
    assert (figures["n_age"], figures["age_target"]) == (4, "mixed")
    # the constant predictor: midpoints 24.5, 24.5, 80, 40 have the mean 42.25, the median 32.25
    assert figures["constant_age_rmse"] == pytest.approx(math.sqrt((2 * 13.25**2 + 27.75**2 + 2.25**2) / 4))
    assert figures["constant_age_mae"] == pytest.approx((2 * 3.25 + 37.75 + 7.75) / 4)
    assert figures["constant_age_rmse_midpoint"] == pytest.approx(np.std([24.5, 24.5, 80, 40]))
    assert figures["constant_age_interval_hit"] == 0


def test_the_constant_predictor() -> None:
    table = _table().assign(age=_midpoint(_table()))
    age = table["age"]
    constant = table.assign(gender_pred=table["gender"].mode()[0])
    figures = metrics(table, bootstrap=0)
    assert figures["constant_age_rmse"] == pytest.approx(age.std(ddof=0))
    assert figures["constant_age_mae"] == pytest.approx((age - age.median()).abs().mean())
    assert figures["constant_gender_f1"] == pytest.approx(_macro_f1(constant))
    share = table["gender"].value_counts(normalize=True).max()
    assert figures["constant_gender_accuracy"] == pytest.approx(share)
    expected = _harmonic(figures["constant_age_rmse"], figures["constant_gender_f1"])
    assert figures["constant_harmonic_mean"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rmse", "f1", "harmonic"), [(128.39, 0.8784, 0), (10.93, 0.8618, 0.732), (8.46, 0.9157, 0.805)]
)
def test_the_published_table(rmse: float, f1: float, harmonic: float) -> None:
    """2 n faces of either gender, of which round(2 n f1) are told rightly: F1 = accuracy = f1."""
    n = 10_000
    wrong = np.arange(n) >= round(n * f1)
    female_true = np.repeat([1.0, 0.0], n)
    female_prob = np.where(np.tile(wrong, 2), 1 - female_true, female_true)
    figures = point_metrics(np.zeros((2 * n, 2)), np.full(2 * n, rmse), female_true, female_prob, 30.0)
    assert figures["gender_f1"] == pytest.approx(f1)
    assert figures["age_rmse"] == pytest.approx(rmse)
    assert figures["harmonic_mean"] == pytest.approx(harmonic, abs=5e-4)


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        (["female", "female"], ["female", "female"]),
        (["female", "female"], ["male", "male"]),
        (["male", "female"], ["male", "male"]),
        (["male"], ["male"]),
        (["male", None], ["female", "female"]),
    ],
)
def test_f1_of_an_absent_class(true: list[str | None], predicted: list[str]) -> None:
    table = _table(len(true)).assign(gender=pd.Series(true), gender_pred=predicted)
    assert metrics(table, bootstrap=0)["gender_f1"] == pytest.approx(_macro_f1(table))


def test_harmonic_mean_of_two_zeros() -> None:
    figures = point_metrics(
        np.zeros((2, 2)), np.full(2, 99.0), np.array([1.0, 0.0]), np.array([0.0, 1.0]), 30.0
    )
    assert figures["age_score"] == figures["gender_f1"] == figures["harmonic_mean"] == 0


@pytest.mark.parametrize("exact", [True, False])
def test_validation_and_evaluation_agree(exact: bool) -> None:
    table = _table().assign(age=_midpoint(_table())) if exact else _table()
    ends = [table["age"].fillna(table[end]) for end in ("age_min", "age_max")]
    female = table["gender"].map({"female": 1.0, "male": 0.0})
    columns = (table["age_pred"], female, table["gender_prob"])
    age_pred, female_true, female_prob = (np.asarray(column, np.float64) for column in columns)
    figures = metrics(table, bootstrap=0)
    expected = {name: figures[name] for name in (*FIGURES, *INTERVAL_FIGURES) if name in figures}
    assert len(expected) == (6 if exact else 8)
    assert point_metrics(np.stack(ends, axis=1), age_pred, female_true, female_prob, 30.0) == expected


def _loop(table: pd.DataFrame, bootstrap: int) -> dict[str, npt.NDArray[np.float64]]:
    """The bootstrap as one would write it down: draw clusters, stack their rows, score them."""
    draw = np.random.default_rng(12345)
    rows = [part.index.to_numpy() for _, part in table.groupby("cluster")]
    samples: list[dict[str, Any]] = []
    for _ in range(bootstrap):
        drawn = np.concatenate([rows[i] for i in draw.integers(0, len(rows), len(rows))])
        samples.append(metrics(table.loc[drawn], bootstrap=0))
    return {name: np.array([sample[name] for sample in samples]) for name in (*FIGURES, *INTERVAL_FIGURES)}


def test_intervals_are_those_of_a_plain_loop_over_clusters() -> None:
    table = _table(120)
    # copies of one photo share their error: the clusters' interval is twice as wide as the rows'
    table["age_pred"] = _midpoint(table) + np.repeat(np.random.default_rng(3).normal(0, 8, 30), 4)
    figures = metrics(table, bootstrap=4000)
    for name, values in _loop(table, 800).items():
        width = figures[f"{name}_high"] - figures[f"{name}_low"]
        assert width > 0, name
        for bound, quantile in (("low", 2.5), ("high", 97.5)):
            assert figures[f"{name}_{bound}"] == pytest.approx(np.percentile(values, quantile), abs=width / 8)
    by_rows = metrics(table.drop(columns="cluster"), bootstrap=4000)
    assert by_rows["n_clusters"] == 120
    widths = [f["age_mae_high"] - f["age_mae_low"] for f in (figures, by_rows)]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.2)


def test_the_interval_of_a_mean_in_closed_form() -> None:
    """The MAE is a mean: its interval is 1.96 standard errors to either side."""
    n = 2000
    error = np.abs(np.random.default_rng(0).normal(0, 10, n))
    table = _table(n).assign(age=30.0, age_pred=30.0 + error, cluster=np.nan)
    figures = metrics(table, bootstrap=5000)
    half = 1.96 * error.std() / math.sqrt(n)
    assert figures["age_mae_low"] == pytest.approx(error.mean() - half, abs=0.1 * half)
    assert figures["age_mae_high"] == pytest.approx(error.mean() + half, abs=0.1 * half)


def test_the_seed_alone_decides() -> None:
    table = _table()
    assert metrics(table, bootstrap=50) == metrics(table, bootstrap=50)
    assert metrics(table, bootstrap=50) != metrics(table, bootstrap=50, seed=1)


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = metrics(_table(), bootstrap=50)
    monkeypatch.setattr("agegender.evaluation.bootstrap._CHUNK", 120)
    parts = metrics(_table(), bootstrap=50)
    assert parts.keys() == whole.keys()
    for name, value in whole.items():
        assert parts[name] == (pytest.approx(value, rel=1e-12) if type(value) is float else value), name


def test_rows_without_a_cluster_are_their_own() -> None:
    table = _table(6).assign(cluster=[7, np.nan, 7, np.nan, np.nan, 2])
    assert metrics(table, bootstrap=0)["n_clusters"] == 5


def test_no_resamples_no_intervals() -> None:
    assert not [name for name in metrics(_table(), bootstrap=0) if name.endswith(("_low", "_high"))]
    assert len([name for name in metrics(_table(), bootstrap=9) if name.endswith(("_low", "_high"))]) == 42


@pytest.mark.parametrize("task", ["age", "gender"])
def test_a_task_without_labels_has_no_figures(task: str) -> None:
    columns = ["age", "age_min", "age_max"] if task == "age" else ["gender"]
    figures = metrics(_table().assign(**dict.fromkeys(columns, np.nan)), bootstrap=20)
    assert figures["n"] == 200
    assert figures[f"n_{task}"] == 0
    assert figures["harmonic_mean"] is figures["constant_harmonic_mean"] is None
    for name in FIGURES[:-1]:
        for key in (name, f"constant_{name}", f"{name}_low", f"{name}_high"):
            assert (figures[key] is None) == name.startswith(task), key


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows(n: int) -> None:
    figures = metrics(_table(20)[4 : 4 + n], bootstrap=10)
    assert figures["n"] == n
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    if n == 1:
        assert (
            figures["age_rmse"] == figures["age_mae"] == figures["age_rmse_low"] == figures["age_rmse_high"]
        )
        assert figures["constant_age_rmse"] == 0


def test_values_are_plain() -> None:
    assert {type(value) for value in metrics(_table(), bootstrap=10).values()} == {int, float, str, dict}


@pytest.mark.parametrize(("rows", "kind"), [(slice(0, None, 3), "interval"), (slice(1, None, 3), "exact")])
def test_the_kind_of_ages(rows: slice, kind: str) -> None:
    assert metrics(_table()[rows], bootstrap=0)["age_target"] == kind
