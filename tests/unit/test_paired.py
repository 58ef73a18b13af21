"""Paired differences against closed forms: a mean's standard error, over faces and over seeds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from agegender.core.errors import UserError
from agegender.evaluation.metrics import FIGURES, metrics
from agegender.evaluation.paired import paired_difference

from ..made import predictions


def _with_errors(errors_N: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Faces of age 30, each its own cluster, that miss by so much."""
    return predictions(len(errors_N)).assign(age=30.0, age_pred=30.0 + errors_N, cluster=np.nan)


def test_the_figures_are_those_of_each_table() -> None:
    a, b = predictions(seed=1), predictions(seed=2, spread=12)
    found = paired_difference([a], [b], bootstrap=20)
    figures = [metrics(table, bootstrap=0) for table in (a, b)]
    assert list(found) == list(FIGURES)
    for name, difference in found.items():
        assert difference.a == pytest.approx(figures[0][name])
        assert difference.b == pytest.approx(figures[1][name])
        assert difference.difference == pytest.approx(figures[1][name] - figures[0][name])
        assert difference.low is not None
        assert difference.high is not None
        assert difference.low < difference.high


def test_the_difference_of_two_means_in_closed_form() -> None:
    """Faces that are hard for both cancel: the interval is that of the mean of the differences."""
    n = 2000
    draw = np.random.default_rng(0)
    hard = draw.gamma(2, 10, n)
    gap = draw.normal(0.5, 2, n)
    found = paired_difference([_with_errors(hard + 20)], [_with_errors(hard + 20 + gap)], bootstrap=4000)
    half = 1.96 * gap.std() / n**0.5  # unpaired it would be ten times as wide
    mae = found["age_mae"]
    assert mae.difference == pytest.approx(gap.mean())
    assert mae.low == pytest.approx(gap.mean() - half, abs=0.1 * half)
    assert mae.high == pytest.approx(gap.mean() + half, abs=0.1 * half)


def test_faces_and_seeds_in_closed_form() -> None:
    """Effects of faces and of seeds that add up: their variances of the mean add up, too."""
    n, seeds = 400, 8
    draw = np.random.default_rng(1)
    of_faces, of_seeds = draw.normal(0, 4, n), draw.normal(1, 0.5, seeds)
    a = [_with_errors(np.full(n, 50.0)) for _ in range(seeds)]
    b = [_with_errors(50.0 + of_faces + effect) for effect in of_seeds]
    mae = paired_difference(a, b, bootstrap=8000)["age_mae"]
    mean = of_faces.mean() + of_seeds.mean()
    half = 1.96 * (of_faces.var() / n + of_seeds.var() / seeds) ** 0.5
    assert mae.difference == pytest.approx(mean)
    assert mae.low == pytest.approx(mean - half, abs=0.1 * half)
    assert mae.high == pytest.approx(mean + half, abs=0.1 * half)
    faces_alone = 1.96 * of_faces.std() / n**0.5
    assert half > 1.15 * faces_alone


def test_copies_of_a_photo_are_drawn_together() -> None:
    gap = np.repeat(np.random.default_rng(2).normal(0, 2, 200), 4)
    a, b = _with_errors(np.full(800, 20.0)), _with_errors(20.0 + gap)
    alone = paired_difference([a], [b])["age_mae"]
    together = paired_difference([a.assign(cluster=np.arange(800) // 4)], [b])["age_mae"]
    assert alone.low is not None
    assert alone.high is not None
    assert together.low is not None
    assert together.high is not None
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(2, rel=0.15)


def test_rows_may_come_in_any_order() -> None:
    a, b = predictions(seed=1), predictions(seed=2)
    assert paired_difference([a], [b.sample(frac=1, random_state=0)]) == paired_difference([a], [b])


def test_what_nobody_labelled_has_no_difference() -> None:
    a, b = (predictions(seed=seed).assign(gender=None) for seed in (1, 2))
    found = paired_difference([a], [b], bootstrap=20)
    assert set(vars(found["gender_f1"]).values()) == {None}
    assert found["age_mae"].low is not None


def test_intervals_are_paired_by_the_distance_to_them() -> None:
    """Predictions on either end of an interval are equally right, whatever lies between them."""
    n = 200
    faces = predictions(n).assign(age=np.nan, age_min=20.0, age_max=29.0)
    a, b = (faces.assign(age_pred=years) for years in (20.0, np.repeat([29.0, 31.0], n // 2)))
    found = paired_difference([a], [b], bootstrap=200)
    assert (found["age_mae"].a, found["age_mae"].b) == (0, 1)
    assert found["age_rmse"].difference == pytest.approx(2**0.5)
    assert found["age_mae"].low == pytest.approx(1 - 1.96 * 2**0.5 / n**0.5, abs=0.05)  # clusters of two


def test_without_resamples_there_is_no_interval() -> None:
    found = paired_difference([predictions(seed=1)], [predictions(seed=2)], bootstrap=0)["age_mae"]
    assert found.difference is not None
    assert (found.low, found.high) == (None, None)


A = predictions(20)


@pytest.mark.parametrize(
    ("tables_a", "tables_b", "message"),
    [
        ([], [], "0 against 0"),
        ([A, A], [A], "2 against 1"),
        ([A], [A[1:]], "1 ids are on one side only"),
        ([A], [A.assign(id=A["id"] + "x")], "40 ids"),
        ([A[:0]], [A[:0]], "no face"),
        ([A.assign(id="same")], [A], "id same stands in several rows"),
        ([A], [pd.concat([A, A[:1]])], "other faces"),
        ([A], [A.assign(age=A["age"].where(A.index > 2, 99))], "age of 3 of 20"),
        ([A.assign(age=None, age_min=20.0, age_max=30.0)], [A.assign(age=25.0)], "age of 20 of 20"),
        ([A], [A.assign(gender=A["gender"].where(A.index > 2))], "gender of 3 of 20"),
    ],
)
def test_what_does_not_pair_is_refused(
    tables_a: list[pd.DataFrame], tables_b: list[pd.DataFrame], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        paired_difference(tables_a, tables_b)
