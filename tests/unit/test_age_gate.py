"""The age gate against tables made by hand, and its intervals against scipy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from agegender.evaluation.age_gate import BUFFERS, GATES, AgeGate, age_gate
from agegender.evaluation.fairness import records
from agegender.evaluation.proportion import clopper_pearson
from agegender.evaluation.table import COLUMNS


def _table(labelled: list[float], predicted: list[float], **columns: Any) -> pd.DataFrame:
    table = pd.DataFrame({"age": labelled, "age_pred": predicted}).reindex(columns=list(COLUMNS))
    return table.assign(**columns)


def _at(found: AgeGate, gate: int, buffer: int) -> pd.Series[float]:
    curve = found.curve
    return curve[(curve["gate"] == gate) & (curve["buffer"] == buffer)].iloc[0]


def _rule(found: AgeGate, gate: int, rule: str) -> dict[str, Any]:
    (row,) = [row for row in records(found.gates) if (row["gate"], row["rule"]) == (gate, rule)]
    return row


def _challenged(found: AgeGate, faces: str) -> dict[str, Any]:
    (row,) = [row for row in records(found.challenge) if row["faces"] == faces]
    return row


@pytest.mark.parametrize("trials", [1, 7, 100])
def test_clopper_pearson_is_that_of_scipy(trials: int) -> None:
    shares = np.arange(trials + 1) / trials
    for k, low, high in zip(range(trials + 1), *clopper_pearson(shares, trials), strict=True):
        exact = binomtest(k, trials).proportion_ci(0.95, method="exact")
        assert (low, high) == pytest.approx((exact.low, exact.high))


def test_clopper_pearson_of_no_trials_and_between_whole_numbers() -> None:
    assert [end.tolist() for end in clopper_pearson(np.array([0.0]), 0)] == [[0.0], [1.0]]
    low, high = clopper_pearson(np.array([0.2, 0.25, 0.3]), 10)
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) > 0).all()


def test_rates_by_hand() -> None:
    """Below 18: estimated 17, 18, 20, 30. From 18 on: 17.9, 18, 40."""
    found = age_gate(_table([10, 17, 17.5, 12, 18, 30, 50], [17, 18, 20, 30, 17.9, 18, 40]), min_group=3)
    for buffer, fpr, fnr in (
        (0, 3 / 4, 1 / 3),
        (1, 2 / 4, 2 / 3),
        (2, 2 / 4, 2 / 3),
        (3, 1 / 4, 2 / 3),
        (30, 0, 1),
    ):
        row = _at(found, 18, buffer)
        assert (row["fpr"], row["fnr"]) == pytest.approx((fpr, fnr)), buffer
        exact = binomtest(round(4 * fpr), 4).proportion_ci(0.95, method="exact")
        assert (row["fpr_low"], row["fpr_high"]) == pytest.approx((exact.low, exact.high))
    assert len(found.curve) == len(GATES) * len(BUFFERS)


def test_the_smallest_buffer_is_found() -> None:
    """Of 100 children 60 are made 10 years too old, five 14 and one 20."""
    labelled = [17.0] * 100 + [30.0] * 100
    predicted = [17.0] * 34 + [27.0] * 60 + [31.0] * 5 + [37.0] + [30.5] * 40 + [50.0] * 60
    found = age_gate(_table(labelled, predicted))
    none, five, one = (_rule(found, 18, rule) for rule in ("no buffer", "FPR below 5%", "FPR below 1%"))
    assert (none["buffer"], none["fpr"], none["fnr"]) == (0, pytest.approx(0.66), 0)
    assert (five["buffer"], five["fpr"], five["fnr"]) == (14, pytest.approx(0.01), pytest.approx(0.4))
    assert (one["buffer"], one["fpr"], one["fnr"]) == (20, 0, pytest.approx(0.4))
    assert (five["n_below"], five["n_above"], five["n_near"], five["left_out"]) == (100, 100, 100, 0)
    assert five["near_fpr"] == five["fpr"]


def test_no_buffer_may_be_enough() -> None:
    found = age_gate(_table([10.0] * 40, [80.0] * 40))
    row = _rule(found, 13, "FPR below 5%")
    assert (row["buffer"], row["fpr"]) == (None, None)
    assert _rule(found, 13, "no buffer")["fpr"] == 1


def test_a_rate_falls_with_the_buffer() -> None:
    draw = np.random.default_rng(0)
    age = draw.uniform(0, 60, 500)
    curve = age_gate(_table(list(age), list(age + draw.normal(0, 6, 500)))).curve
    for _, rows in curve.groupby("gate"):
        assert (np.diff(rows["fpr"]) <= 0).all()
        assert (np.diff(rows["fnr"]) >= 0).all()
        assert (rows["fpr_low"] <= rows["fpr"]).all()
        assert (rows["fpr"] <= rows["fpr_high"]).all()


def test_intervals_count_where_they_are_on_one_side() -> None:
    """FairFace's bins: 10 to 19 lies on both sides of every gate."""
    table = _table([np.nan] * 4, [20.0] * 4, age_min=[3.0, 10.0, 18.0, 13.0], age_max=[9.0, 19.0, 29.0, 17.0])
    found = age_gate(table, min_group=1)
    for gate, below, above, left_out in ((13, 1, 2, 1), (16, 1, 1, 2), (18, 2, 1, 1)):
        row = _rule(found, gate, "no buffer")
        assert (row["n_below"], row["n_above"], row["left_out"]) == (below, above, left_out)
    assert _challenged(found, "13 to 17")["n"] == 1


def test_the_trials_are_clusters() -> None:
    """Ten photos of each of four people."""
    table = _table([15.0] * 40, [30.0] * 10 + [15.0] * 30, cluster=np.repeat(np.arange(4), 10))
    row = _at(age_gate(table, min_group=4), 18, 0)
    exact = binomtest(1, 4).proportion_ci(0.95, method="exact")
    assert (row["fpr"], row["fpr_low"], row["fpr_high"]) == pytest.approx((0.25, exact.low, exact.high))
    assert np.isnan(_at(age_gate(table, min_group=5), 18, 0)["fpr"])


def test_too_few_children() -> None:
    found = age_gate(_table([5.0] * 29 + [40.0] * 50, [30.0] * 79))
    assert found.curve["fpr"].isna().all()
    assert found.curve["fnr"].notna().all()
    row = _rule(found, 18, "FPR below 1%")
    assert (row["n_below"], row["buffer"], row["fpr"]) == (29, None, None)


def test_challenge_25() -> None:
    """Who is estimated at 25 or over passes a gate of 18."""
    table = _table(
        [13, 14, 17, 17, 18, 24, 25, 60, 12, np.nan],
        [26, 20, 25, 24, 24, 30, 20, 60, 50, 50],
        gender=["female", "female", "male", None, *["male"] * 6],
        group=["a", "b", "a", "a", *["c"] * 6],
    )
    found = age_gate(table, min_group=1)
    expected = {
        "13 to 17": (4, 0.5), "13": (1, 1), "14": (1, 0), "15": (0, None), "17": (2, 0.5),
        "13 to 17, female": (2, 0.5), "13 to 17, male": (1, 1), "13 to 17, a": (3, 2 / 3),
        "13 to 17, b": (1, 0), "18 to 24": (2, 0.5), "25 and over": (2, 0.5),
    }  # fmt: skip
    for faces, (n, rate) in expected.items():
        row = _challenged(found, faces)
        assert (row["n"], row["rate"]) == (n, rate if rate is None else pytest.approx(rate)), faces
    assert "13 to 17, c" not in set(found.challenge["faces"])


def test_order_does_not_matter_and_many_groups_are_cut() -> None:
    draw = np.random.default_rng(0)
    age = draw.integers(1, 40, 600).astype(float)
    table = _table(list(age), list(age + draw.normal(0, 6, 600)), group=[f"{i % 90}" for i in range(600)])
    found, shuffled = age_gate(table), age_gate(table.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(found.curve, shuffled.curve)
    pd.testing.assert_frame_equal(found.gates, shuffled.gates)
    assert found.challenge["faces"].str.match(r"13 to 17, \d").sum() == 20
