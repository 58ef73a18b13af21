"""Temperature scaling and calibration of the gender, against scikit-learn and known temperatures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from agegender.evaluation.bootstrap import clusters_of
from agegender.evaluation.ratios import Estimate, estimate
from agegender.evaluation.reliability import BINS, GenderConfidence, calibration_error, reflected
from agegender.evaluation.temperature import fit_temperature, scaled_probability

from ..made import predictions


def _drawn(n: int, temperature: float, seed: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """What a network says that is so many times too sure, and the truth."""
    draw = np.random.default_rng(seed)
    logit = draw.normal(0, 2, n)
    is_female = (draw.random(n) < expit(logit)).astype(np.float64)
    return expit(logit * temperature), is_female


def _table(n: int, temperature: float, seed: int = 0) -> pd.DataFrame:
    prob, is_female = _drawn(n, temperature, seed)
    return predictions(n).assign(
        gender_prob=prob,
        gender=np.where(is_female == 1, "female", "male"),
        gender_pred=np.where(prob >= 0.5, "female", "male"),
        cluster=np.nan,
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    prob, is_female = _drawn(40_000, temperature)
    assert fit_temperature(prob, is_female) == pytest.approx(temperature, rel=0.04)


def test_the_temperature_is_that_of_logistic_regression() -> None:
    """1 / T is the only coefficient of an unpenalised regression on the logit without an intercept."""
    prob, is_female = _drawn(500, 2.0, seed=2)
    logit = np.log(prob / (1 - prob))[:, None]
    regression = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(logit, is_female)
    fitted = fit_temperature(prob, is_female)
    assert fitted == pytest.approx(1 / regression.coef_[0, 0], rel=1e-4)
    assert fitted is not None
    expected = regression.predict_proba(logit)[:, 1]
    assert scaled_probability(prob, fitted) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("prob", "is_female"),
    [
        ([], []),
        ([0.9, 0.8, 0.3], [1, 1, 1]),
        ([0.9, 0.8, 0.3], [1, 1, 0]),
        ([0.1, 0.2, 0.9], [1, 1, 0]),
        ([0.5, 0.5], [1, 0]),
    ],
)
def test_where_no_temperature_is_best(prob: list[float], is_female: list[float]) -> None:
    """No face, one gender, all told rightly, worse than chance, no opinion."""
    assert fit_temperature(np.array(prob), np.array(is_female, np.float64)) is None


def test_probabilities_of_0_and_1_stay_finite() -> None:
    prob, is_female = _drawn(2000, 30.0)
    prob = np.round(prob, 6)
    assert {0.0, 1.0} <= set(prob)
    fitted = fit_temperature(prob, is_female)
    assert fitted is not None
    scaled = scaled_probability(prob, fitted)
    assert ((scaled > 0) & (scaled < 1)).all()
    assert ((scaled >= 0.5) == (prob >= 0.5)).all()


def test_log_loss_is_that_of_sklearn() -> None:
    table = _table(300, 2.0)
    confidence = GenderConfidence(table, table["gender_prob"])
    expected = log_loss(table["gender"] == "female", table["gender_prob"])
    assert confidence.log_loss_N.mean() == pytest.approx(expected)


def _ece(table: pd.DataFrame) -> float:
    """As Guo et al. write it down."""
    confidence = np.where(table["gender_pred"] == "female", table["gender_prob"], 1 - table["gender_prob"])
    is_right = (table["gender_pred"] == table["gender"]).to_numpy()
    total = 0.0
    for k in range(BINS):
        inside = (confidence > k / BINS) & (confidence <= (k + 1) / BINS)
        if inside.any():
            total += inside.mean() * abs(is_right[inside].mean() - confidence[inside].mean())
    return total


def test_the_calibration_error_is_that_of_its_definition() -> None:
    table = _table(400, 2.0)
    confidence = GenderConfidence(table, table["gender_prob"])
    found = calibration_error(estimate({"gaps": confidence.gaps()}, clusters_of(table), 0)["gaps"])
    assert found.value_K == pytest.approx([_ece(table)])


def test_bins_are_those_of_sklearn() -> None:
    table = _table(2000, 2.0)
    confidence = GenderConfidence(table, table["gender_prob"])
    accuracy, mean_confidence = calibration_curve(
        confidence.is_right_N, confidence.confidence_N, n_bins=BINS, strategy="uniform"
    )
    found = estimate(confidence.in_bins(), clusters_of(table), 0)
    filled = confidence.members().sum(axis=0) > 0
    assert filled.sum() == len(accuracy) == 8
    assert found["accuracy"].value_K[filled] == pytest.approx(accuracy)
    assert found["confidence"].value_K[filled] == pytest.approx(mean_confidence)


def _resampled(table: pd.DataFrame, bootstrap: int) -> Estimate:
    gaps = GenderConfidence(table, table["gender_prob"]).gaps()
    return calibration_error(estimate({"gaps": gaps}, clusters_of(table), bootstrap)["gaps"])


def test_the_interval_of_the_calibration_error_knows_that_chance_adds_to_it() -> None:
    """300 faces of a network that is a little too sure: percentiles of resamples miss its true error."""
    truth = _resampled(_table(200_000, 1.3, 99), 0).value_K[0]
    plain: list[bool] = []
    mirrored: list[bool] = []
    for seed in range(30):
        found = _resampled(_table(300, 1.3, seed), 200)
        for held, drawn_RK in ((plain, found.drawn_RK), (mirrored, reflected(found).drawn_RK)):
            low, high = np.percentile(drawn_RK, [2.5, 97.5])
            held.append(low <= truth <= high)
    assert np.mean(plain) < 0.6
    assert np.mean(mirrored) > 0.9


def test_faces_without_a_gender_are_left_out() -> None:
    table = _table(100, 2.0)
    table.loc[:9, "gender"] = None
    confidence = GenderConfidence(table, table["gender_prob"])
    assert confidence.members().sum() == 90
    assert np.isnan(confidence.log_loss_N).sum() == 10
