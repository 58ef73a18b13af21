"""Cells and gaps against fairlearn's MetricFrame, closed forms, and tables made by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame
from scipy.stats import norm, studentized_range
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    recall_score,
    root_mean_squared_error,
)

from agegender.core.errors import UserError
from agegender.core.types import GENDERS
from agegender.evaluation.cells import FIGURES
from agegender.evaluation.fairness import OVERALL, Fairness, fairness, records
from agegender.evaluation.metrics import metrics
from agegender.evaluation.proportion import clopper_pearson
from agegender.evaluation.table import COLUMNS

AXES = (
    "gender", "group", "age band", "camera", "gender and group", "gender and age band", "group and age band",
)  # fmt: skip


def _table(n: int = 900, seed: int = 0) -> pd.DataFrame:
    """Labels of all kinds: exact ages, intervals, missing ones; clusters of two."""
    draw = np.random.default_rng(seed)
    age = draw.integers(1, 90, n).astype(float)
    kind = np.arange(n) % 5
    gender = draw.choice(GENDERS, n).astype(object)
    prob = np.clip(np.where(gender == "female", 0.6, 0.4) + draw.normal(0, 0.2, n), 0, 1)
    gender[::11] = None
    group = draw.choice(["a", "b", "c"], n).astype(object)
    group[::13] = None
    predicted = age + draw.normal(1, 8, n)
    table = pd.DataFrame(
        {
            "id": [f"{i}.jpg" for i in range(n)],
            "split": "test",
            "age": np.where(kind < 3, age, np.nan),
            "age_min": np.where(kind == 3, age - 2, np.nan),
            "age_max": np.where(kind == 3, age + 3, np.nan),
            "gender": gender,
            "group": group,
            "cluster": np.arange(n) // 2,
            "age_pred": predicted,
            "age_low": predicted - 10,
            "age_high": predicted + 10,
            "gender_pred": np.where(prob >= 0.5, "female", "male"),
            "gender_prob": prob,
        }
    )
    return table.reindex(columns=list(COLUMNS)).assign(camera=draw.integers(0, 4, n))


def _plain(errors: dict[str, np.ndarray]) -> pd.DataFrame:
    """Faces of 40 years, each a cluster of its own, in groups with these errors."""
    group = np.repeat(list(errors), [len(values) for values in errors.values()])
    table = pd.DataFrame({"group": group, "age": 40.0, "age_pred": 40 + np.concatenate([*errors.values()])})
    table["gender_pred"] = "male"
    return table.reindex(columns=list(COLUMNS))


def _row(found: Fairness, axis: str, cell: str) -> dict[str, Any]:
    (row,) = [row for row in records(found.cells) if (row["axis"], row["cell"]) == (axis, cell)]
    return row


def _gap(found: Fairness, axis: str, figure: str) -> dict[str, Any]:
    (gap,) = [gap for gap in records(found.gaps) if (gap["axis"], gap["figure"]) == (axis, figure)]
    return gap


def _cells(table: pd.DataFrame, axis: str) -> pd.Series[str]:
    low, high = (table["age"].fillna(table[end]) for end in ("age_min", "age_max"))
    bands = pd.cut((low + high) / 2, [0, 3, 10, 20, 30, 40, 50, 60, 70, 200], right=False)
    columns = table.assign(**{"age band": bands.astype(object)})
    names = [columns[name] for name in axis.split(" and ")]
    known = np.all([name.notna() for name in names], axis=0)
    joined = names[0].astype(str) if len(names) == 1 else names[0].astype(str) + ", " + names[1].astype(str)
    return joined.where(known)


def _frames(table: pd.DataFrame, cells: pd.Series[str]) -> tuple[MetricFrame, MetricFrame, MetricFrame]:
    """Age, gender, coverage: each of the faces that have the label."""
    low, high = (table["age"].fillna(table[end]) for end in ("age_min", "age_max"))
    known = cells.notna() & low.notna()
    age = MetricFrame(
        metrics={
            "age_rmse": root_mean_squared_error,
            "age_mae": mean_absolute_error,
            "age_bias": lambda true, said: np.mean(np.subtract(said, true)),
            "age_cs_5": lambda true, said: np.mean(np.abs(np.subtract(said, true)) <= 5),
        },
        y_true=table["age_pred"].clip(low, high)[known],
        y_pred=table["age_pred"][known],
        sensitive_features=cells[known],
    )
    covered = (table["age_low"] <= high) & (table["age_high"] >= low)
    coverage = MetricFrame(
        metrics={"age_coverage": accuracy_score},
        y_true=np.ones(known.sum(), bool),
        y_pred=covered[known],
        sensitive_features=cells[known],
    )
    known = cells.notna() & table["gender"].notna()
    gender = MetricFrame(
        metrics={
            "gender_accuracy": accuracy_score,
            "gender_f1": lambda true, said: f1_score(true, said, labels=GENDERS, average="macro"),
        },
        y_true=table["gender"][known],
        y_pred=table["gender_pred"][known],
        sensitive_features=cells[known],
    )
    return age, gender, coverage


@pytest.mark.parametrize("axis", AXES)
def test_figures_and_gaps_are_those_of_metric_frame(axis: str) -> None:
    table = _table(3000)
    found = fairness(table, by=["camera"], min_group=2, bootstrap=0)
    cells = found.cells[found.cells["axis"] == axis]
    judged = 0
    for frame in _frames(table, _cells(table, axis)):
        for figure in frame.by_group.columns:
            if figure == "gender_f1" and "gender" in axis:
                assert cells[figure].isna().all()
                continue
            ours, theirs = cells[figure].dropna().to_numpy(), frame.by_group[figure].to_numpy(dtype=float)
            assert np.sort(ours) == pytest.approx(np.sort(theirs)), figure
            gap = _gap(found, axis, figure)
            assert gap["gap"] == pytest.approx(frame.difference()[figure])
            assert (gap["lowest_value"], gap["highest_value"]) == pytest.approx(
                (frame.group_min()[figure], frame.group_max()[figure])
            )
            if figure != "age_bias":
                assert gap["ratio"] == pytest.approx(frame.ratio()[figure])
            judged += 1
    assert judged == (6 if "gender" in axis else 7)


def test_the_axes_in_their_order() -> None:
    found = fairness(_table(), by=["camera", "group", "camera"], bootstrap=0)
    assert list(found.cells["axis"].unique()) == [OVERALL, *AXES]
    bands = found.cells.loc[found.cells["axis"] == "age band", "cell"]
    assert bands.tolist() == ["0–2", "3–9", "10–19", "20–29", "30–39", "40–49", "50–59", "60–69", "70+"]


def test_all_faces_have_the_figures_of_metrics() -> None:
    table = _table()
    theirs, ours = metrics(table, bootstrap=200), _row(fairness(table, bootstrap=200), OVERALL, OVERALL)
    for name in ("age_rmse", "age_mae", "gender_f1", "gender_accuracy"):
        for end in ("", "_low", "_high"):
            assert ours[f"{name}{end}"] == pytest.approx(theirs[f"{name}{end}"])
    assert (ours["n"], ours["n_age"], ours["clusters"]) == (900, theirs["n_age"], theirs["n_clusters"])


def test_within_a_gender_accuracy_is_recall() -> None:
    table = _table()
    found, known = fairness(table, bootstrap=0), table[table["gender"].notna()]
    recalls = recall_score(known["gender"], known["gender_pred"], labels=GENDERS, average=None)
    for gender, recall in zip(GENDERS, recalls, strict=True):
        row = _row(found, "gender", gender)
        assert row["gender_accuracy"] == pytest.approx(recall)
        assert row["gender_f1"] is None


def test_intervals_and_noise_of_equal_cells() -> None:
    """The bias is a mean, the range of five means a studentized range."""
    draw = np.random.default_rng(0)
    table = _plain({name: draw.normal(0, 6, 400) for name in "abcde"})
    found = fairness(table, bootstrap=2000)
    error = 6 / math.sqrt(400)
    for name in "abcde":
        row = _row(found, "group", name)
        assert row["age_bias_high"] - row["age_bias_low"] == pytest.approx(
            2 * norm.ppf(0.975) * error, rel=0.1
        )
    gap = _gap(found, "group", "age_bias")
    assert gap["noise"] == pytest.approx(studentized_range.ppf(0.95, 5, np.inf) * error, rel=0.07)
    assert gap["gap"] > 0
    assert gap["gap_low"] == 0


def test_the_gap_of_two_cells_is_a_difference() -> None:
    draw = np.random.default_rng(0)
    found = fairness(_plain({"a": draw.normal(3, 6, 900), "b": draw.normal(-1, 4, 400)}), bootstrap=2000)
    gap = _gap(found, "group", "age_bias")
    half = norm.ppf(0.975) * math.hypot(6 / 30, 4 / 20)
    assert gap["gap_high"] - gap["gap"] == pytest.approx(half, rel=0.07)
    assert gap["gap"] - gap["gap_low"] == pytest.approx(half, rel=0.07)
    assert gap["gap_low"] < 4 < gap["gap_high"]
    assert (gap["lowest"], gap["highest"], gap["worst"], gap["ratio"]) == ("b", "a", "a", None)


def test_gap_intervals_hold_the_true_gap() -> None:
    """Of 30 samples of six groups whose true gap of the bias is 1 year, at least nine in ten."""
    draw, held, above = np.random.default_rng(0), 0, 0
    for _ in range(30):
        errors = {f"{i}": draw.normal(i / 5, 4, 60) for i in range(6)}
        gap = _gap(fairness(_plain(errors), bootstrap=100), "group", "age_bias")
        held += gap["gap_low"] <= 1 <= gap["gap_high"]
        above += gap["gap"] > 1
    assert held >= 27
    assert above > 20  # the gap itself is too large more often than not


def test_more_cells_are_noisier() -> None:
    errors = np.random.default_rng(0).normal(0, 6, 2000)
    noise = [
        _gap(
            fairness(_plain({f"{i}": part for i, part in enumerate(np.split(errors, k))}), bootstrap=200),
            "group",
            "age_mae",
        )["noise"]
        for k in (2, 10, 50)
    ]
    assert noise[0] * 2 < noise[1] < noise[2] / 2


@pytest.mark.parametrize(
    ("errors", "figure", "worst"),
    [
        ({"a": [1, 1], "b": [4, 4]}, "age_rmse", "b"),
        ({"a": [1, 1], "b": [9, 9]}, "age_cs_5", "b"),
        ({"a": [-3, -3], "b": [2, 2]}, "age_bias", "a"),
        ({"a": [-2, -2], "b": [3, 3]}, "age_bias", "b"),
    ],
)
def test_the_worst_cell(errors: dict[str, list[float]], figure: str, worst: str) -> None:
    table = _plain({name: np.array(values, float) for name, values in errors.items()})
    assert _gap(fairness(table, min_group=2, bootstrap=0), "group", figure)["worst"] == worst


def test_too_few_are_counted_in_clusters() -> None:
    draw = np.random.default_rng(0)
    table = _plain(
        {"many": draw.normal(0, 5, 50), "few": draw.normal(0, 5, 29), "one": draw.normal(0, 5, 50)}
    )
    table["cluster"] = np.where(table["group"] == "one", -1, np.arange(len(table)))
    found = fairness(table, bootstrap=20)
    assert _row(found, "group", "many")["age_rmse"] > 0
    for cell, n, clusters in (("few", 29, 29), ("one", 50, 1)):
        row = _row(found, "group", cell)
        assert (row["n"], row["clusters"]) == (n, clusters)
        assert all(row[f"{name}{end}"] is None for name in FIGURES for end in ("", "_low", "_high"))
    assert found.gaps.empty
    assert _row(fairness(table, min_group=29, bootstrap=0), "group", "few")["age_rmse"] > 0


def test_a_share_of_one_has_an_exact_interval() -> None:
    row = _row(fairness(_plain({"a": np.zeros(40), "b": np.full(40, 9.0)}), bootstrap=50), "group", "a")
    assert row["age_cs_5"] == row["age_cs_5_high"] == 1
    assert row["age_cs_5_low"] == pytest.approx(0.025 ** (1 / 40))
    assert clopper_pearson(np.array([1.0]), 40)[0] == pytest.approx(row["age_cs_5_low"])


def test_order_and_names_do_not_matter() -> None:
    table = _table()
    found = fairness(table, bootstrap=50)
    shuffled = fairness(table.sample(frac=1, random_state=0), bootstrap=0)
    points = ["axis", "cell", "n", *FIGURES]
    pd.testing.assert_frame_equal(shuffled.cells[points], found.cells[points])
    names = {"a": "z", "b": "<y> | é", "c": "x"}
    renamed = fairness(table.assign(group=table["group"].map(names)), bootstrap=50)
    for old, new in names.items():
        assert _row(renamed, "group", new) | {"cell": old} == _row(found, "group", old)
    pd.testing.assert_frame_equal(fairness(table, bootstrap=50).gaps, found.gaps)


def test_intervals_of_age() -> None:
    """The band is that of the midpoint; an error is the distance; what touches the label covers it."""
    table = _plain({"a": np.zeros(3)}).assign(age=np.nan, age_min=20.0, age_max=29.0)
    table = table.assign(age_pred=[25.0, 31.0, 40.0], age_low=[24.0, 29.0, 30.0], age_high=[26.0, 33.0, 50.0])
    row = _row(fairness(table, min_group=2, bootstrap=0), "age band", "20–29")
    assert row["age_mae"] == pytest.approx((0 + 2 + 11) / 3)
    assert row["age_coverage"] == pytest.approx(2 / 3)


def test_what_cannot_be_compared_is_said() -> None:
    table = _table().assign(gender=None, camera="one")
    found = fairness(table, by=["camera"], bootstrap=20)
    unknown, ageless = table["group"].isna().sum(), (np.arange(900) % 5 == 4).sum()
    assert found.notes == [
        "No face has a known gender.",
        f"{unknown} of 900 faces have no known group and are in no cell of it.",
        f"{ageless} of 900 faces have no known age band and are in no cell of it.",
        "All faces have the same camera (one): there is nothing to compare.",
    ]
    assert "camera" not in set(found.gaps["axis"])
    assert not found.cells["axis"].str.contains("gender").any()


def test_a_column_of_ten_thousand_values() -> None:
    table = _plain({"a": np.zeros(10_000)}).assign(
        device=np.arange(10_000) // 40 * (np.arange(10_000) < 4000)
    )
    table["device"] = table["device"].where(table.index < 4000, table.index)
    found = fairness(table, by=["device"], bootstrap=5)
    assert (found.cells["axis"] == "device").sum() == 100
    assert (
        "By device, 6,000 of 6,100 cells have fewer than 30 faces (without copies) and are not listed."
        in (found.notes)
    )


def test_at_most_so_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender.evaluation.cells._MOST", 7)
    table = _plain({f"{i:03d}": np.zeros(30 + i) for i in range(101)})
    found = fairness(table, bootstrap=0)
    assert found.cells.loc[found.cells["axis"] == "group", "cell"].tolist() == [
        f"{i:03d}" for i in range(94, 101)
    ]
    assert found.notes[-1] == "By group, the 7 largest of 101 cells are judged."


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(UserError, match=r"evaluation\.by: .* no column hat .*camera"):
        fairness(_table(), by=["camera", "hat"])


def test_json_safe() -> None:
    found = fairness(_table().assign(age=np.nan, age_min=np.nan, age_max=np.nan), bootstrap=0)
    text = json.dumps([records(found.cells), records(found.gaps), found.notes], allow_nan=False)
    assert "No face has a known age band." in text
    assert _row(found, OVERALL, OVERALL)["age_rmse"] is None
