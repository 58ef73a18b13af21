"""Figures of age against scikit-learn, closed forms and a bootstrap written down in pandas."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error, median_absolute_error, r2_score

from agegender.data.manifest import age_interval
from agegender.evaluation.age_figures import AGE_FIGURES, WITHIN, age_figures
from agegender.evaluation.bootstrap import resampled_weights
from agegender.evaluation.metrics import metrics

from ..made import predictions

NAN = np.nan


def _by_scikit_learn(faces: pd.DataFrame) -> dict[str, float]:
    """AGE_FIGURES of faces whose ages are exact."""
    age, said = faces["age"].to_numpy(), faces["age_pred"].to_numpy()
    error = np.abs(said - age)
    rmse = math.sqrt(mean_squared_error(age, said))
    return {
        "age_median_error": float(median_absolute_error(age, said)),
        **{f"age_cs_{years}": float(np.mean(error <= years)) for years in WITHIN},
        "age_bias": float(np.mean(said - age)),
        "age_slope": float(LinearRegression().fit(age[:, None], said).coef_[0]),
        "age_r2": float(r2_score(age, said)),
        "age_skill": 1 - rmse / float(np.std(age)),
    }


def _weighted(faces: pd.DataFrame, weights_RN: npt.ArrayLike) -> dict[str, npt.NDArray[np.float64]]:
    ages_N2 = age_interval(faces).to_numpy(np.float64)
    return age_figures(ages_N2, faces["age_pred"].to_numpy(), np.asarray(weights_RN, np.float64))


def test_figures_are_those_of_scikit_learn() -> None:
    faces = predictions(201, spread=5, bias=2)
    assert {name: metrics(faces, bootstrap=0)[name] for name in AGE_FIGURES} == pytest.approx(
        _by_scikit_learn(faces)
    )


def test_a_weight_is_so_many_copies_of_a_face() -> None:
    """Some faces left out, some repeated, an odd and an even number of them, ties, unknown ages."""
    faces = predictions(60, bias=3).round({"age_pred": 0})
    faces.loc[::7, "age"] = NAN
    weights_RN = np.random.default_rng(0).integers(0, 4, (30, 60))
    found = _weighted(faces, weights_RN)
    for row, weights_N in enumerate(weights_RN):
        copies = faces.loc[np.repeat(faces.index, weights_N)].dropna(subset="age")
        assert {name: found[name][row] for name in AGE_FIGURES} == pytest.approx(_by_scikit_learn(copies))


def test_intervals_are_those_of_a_bootstrap_in_pandas() -> None:
    faces = predictions(80, bias=-2)
    clusters = [part for _, part in faces.groupby("cluster")]
    (weights_RC,) = resampled_weights(len(clusters), 60, seed=0)
    samples = [
        _by_scikit_learn(pd.concat([part for part, times in zip(clusters, row, strict=True)
                                    for _ in range(int(times))]))
        for row in weights_RC
    ]  # fmt: skip
    figures = metrics(faces, bootstrap=60)
    for name in AGE_FIGURES:
        low, high = np.percentile([sample[name] for sample in samples], [2.5, 97.5])
        assert (figures[f"{name}_low"], figures[f"{name}_high"]) == pytest.approx((low, high)), name
        assert low < figures[name] < high


def test_the_error_of_an_interval_is_the_distance_to_it() -> None:
    """Inside, below and above; what the constant predictor answers is the mean of the midpoints, 50."""
    faces = pd.DataFrame(
        {
            "age": [NAN, NAN, 50.0, NAN],
            "age_min": [20.0, 70.0, NAN, NAN],
            "age_max": [30.0, 80.0, NAN, NAN],
            "age_pred": [22.0, 66.0, 56.0, 99.0],
        }
    )
    found = {name: float(value) for name, (value,) in _weighted(faces, np.ones((1, 4))).items()}
    squared, of_constant = 4**2 + 6**2, 2 * 20**2
    assert found == pytest.approx(
        {
            "age_median_error": 4,
            "age_cs_3": 1 / 3,
            "age_cs_5": 2 / 3,
            "age_cs_10": 1,
            "age_bias": 2 / 3,
            "age_slope": (66 - 22) / (75 - 25),
            "age_r2": 1 - squared / of_constant,
            "age_skill": 1 - math.sqrt(squared / of_constant),
        }
    )


def test_skill_is_over_the_constant_of_the_table() -> None:
    faces = predictions(90)
    bins = faces.assign(age_min=faces["age"] // 10 * 10, age_max=faces["age"] // 10 * 10 + 9, age=NAN)
    for table in (faces, bins):
        figures = metrics(table, bootstrap=0)
        share = figures["age_rmse"] / figures["constant_age_rmse"]
        assert figures["age_skill"] == pytest.approx(1 - share)
        assert figures["age_r2"] == pytest.approx(1 - share**2)


def test_the_best_predictor_of_least_squares_has_its_r2_as_slope() -> None:
    """It answers the mean age of faces alike (docs/metrics.md); of an exact posterior mean, both are 0.5."""
    draw = np.random.default_rng(0)
    seen = draw.normal(40, 10, 200_000)
    faces = pd.DataFrame({"age": seen + draw.normal(0, 10, len(seen)), "age_pred": seen})
    found = _weighted(faces.assign(age_min=NAN, age_max=NAN), np.ones((1, len(faces))))
    assert found["age_slope"] == pytest.approx(0.5, abs=0.01)
    assert found["age_r2"] == pytest.approx(0.5, abs=0.01)


def test_the_old_made_younger() -> None:
    faces = predictions(50)
    figures = metrics(faces.assign(age_pred=40 + 0.3 * (faces["age"] - 40)), bootstrap=20)
    assert [figures[f"age_slope{bound}"] for bound in ("", "_low", "_high")] == pytest.approx([0.3] * 3)


def test_the_ranges() -> None:
    faces = predictions(101).assign(age=np.arange(101.0), age_pred=30 + np.arange(101) / 10)
    faces.loc[101] = faces.loc[0].to_dict() | {"age": NAN, "age_pred": 999.0}
    figures = metrics(faces, bootstrap=0)
    names = [f"age_{which}_{end}" for which in ("true", "pred") for end in ("p1", "p99")]
    assert [figures[name] for name in names] == pytest.approx([1, 99, 30.1, 39.9])


@pytest.mark.parametrize(
    ("ages", "undefined"),
    [
        ([NAN, NAN, NAN], set(AGE_FIGURES)),
        ([30.1, 30.1, 30.1], {"age_slope", "age_r2", "age_skill"}),
        ([NAN, 30.0, NAN], {"age_slope", "age_r2", "age_skill"}),
        ([20.0, 30.0, 40.0], set()),
    ],
)
def test_undefined_figures_are_none(ages: list[float], undefined: set[str]) -> None:
    """No age, one age, one face; in each resample as well."""
    faces = predictions(3).assign(age=ages, age_pred=33.0)
    figures = metrics(faces, bootstrap=20)
    for name in AGE_FIGURES:
        assert (figures[name] is None) == (name in undefined), name
        assert (figures[f"{name}_low"] is None) == (name in undefined), name
    assert (figures["age_true_p1"] is None) == (figures["age_pred_p99"] is None) == np.isnan(ages).all()


def test_constant_answers_have_a_slope_of_zero() -> None:
    figures = metrics(predictions().assign(age_pred=33.0), bootstrap=0)
    assert figures["age_slope"] == pytest.approx(0, abs=1e-12)
