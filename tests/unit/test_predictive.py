"""Scores of predictive distributions against integrals, samples and scipy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import quad
from scipy.stats import kstest, norm

from agegender.evaluation.posterior import Posterior
from agegender.evaluation.predictive import NormalAges, PosteriorAges

Array = npt.NDArray[np.float64]
AGES = np.arange(0, 101)


def _exact(*ages: float) -> Array:
    return np.array([[age, age] for age in ages], np.float64)


def _posterior(n: int, seed: int = 0) -> Posterior:
    masses = np.random.default_rng(seed).gamma(0.3, size=(n, len(AGES)))
    return Posterior(AGES, (masses / masses.sum(axis=1, keepdims=True)).astype(np.float32))


def test_the_crps_of_a_normal_distribution_in_closed_form() -> None:
    """Gneiting and Raftery 2007, equation 5.7."""
    mean, std, age = np.array([30.0, 30, 60]), np.array([5.0, 1, 12]), np.array([30.0, 37, 20])
    z = (age - mean) / std
    expected = std * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert NormalAges(mean, std).crps(_exact(*age)) == pytest.approx(expected)


@pytest.mark.parametrize(("low", "high"), [(20.0, 29.0), (40, 49), (0, 2), (70, 120)])
def test_the_crps_of_an_interval_is_its_integral_outside(low: float, high: float) -> None:
    below, _ = quad(lambda x: norm.cdf(x, 33, 6) ** 2, -60, low)
    above, _ = quad(lambda x: norm.sf(x, 33, 6) ** 2, high, 200)
    found = NormalAges(np.array([33.0]), np.array([6.0])).crps(np.array([[low, high]]))
    assert found == pytest.approx([below + above], abs=1e-6)


@pytest.mark.parametrize("age", [0.0, 17, 17.5, 64, 100, 117, -3])
def test_the_crps_of_a_posterior_is_that_of_its_sample(age: float) -> None:
    """E|X - y| - E|X - X'| / 2, Gneiting and Raftery 2007, equation 21."""
    posterior = _posterior(1)
    masses = posterior.posterior_NA[0].astype(np.float64)
    spread = masses @ np.abs(AGES[:, None] - AGES) @ masses
    expected = masses @ np.abs(AGES - age) - spread / 2
    assert PosteriorAges(posterior).crps(_exact(age)) == pytest.approx([expected], abs=1e-4)


def test_a_fine_posterior_scores_like_its_normal_distribution() -> None:
    mean, std = np.array([40.0, 55.3]), np.array([8.0, 6.0])
    masses = norm.cdf(AGES + 0.5, mean[:, None], std[:, None]) - norm.cdf(
        AGES - 0.5, mean[:, None], std[:, None]
    )
    discrete, smooth = PosteriorAges(Posterior(AGES, masses)), NormalAges(mean, std)
    for labels in (_exact(35, 60), np.array([[20.0, 29], [50, 59]])):
        assert discrete.log_loss(labels) == pytest.approx(smooth.log_loss(labels), rel=1e-4)
        assert discrete.crps(labels) == pytest.approx(smooth.crps(labels), abs=0.3)
        assert discrete.pit(labels) == pytest.approx(smooth.pit(labels), abs=1e-4)


def test_the_log_loss_of_a_year_is_that_of_the_density() -> None:
    mean, std = np.array([40.0, 40, 40]), np.array([10.0, 10, 10])
    found = NormalAges(mean, std).log_loss(_exact(40, 45, 80))
    assert found == pytest.approx(-norm.logpdf([40, 45, 80], 40, 10), abs=0.01)
    tail = NormalAges(np.array([90.0, 1]), np.array([1.0, 1])).log_loss(_exact(1, 90))  # 88.5 from the mean
    assert tail == pytest.approx([-norm.logsf(88.5), -norm.logsf(88.5)])


def test_the_crps_of_a_sure_prediction_is_its_error() -> None:
    sure = NormalAges(np.array([30.0, 30]), np.zeros(2))
    labels = np.array([[37.0, 37], [20, 29]])
    assert sure.crps(labels) == pytest.approx([7, 1])
    assert sure.log_loss(_exact(30, 37)) == pytest.approx([0, np.inf])
    assert sure.pit(_exact(37, 20)) == pytest.approx(np.array([[1, 1], [0, 0]]))


def test_what_is_not_known_has_no_score() -> None:
    labels = np.array([[np.nan, np.nan], [30, 30]])
    normal = NormalAges(np.array([30.0, 30]), np.array([0.0, np.nan]))
    assert np.isnan([*normal.crps(labels), *normal.log_loss(labels), *normal.pit(labels).ravel()]).all()
    posterior = PosteriorAges(_posterior(1))
    assert np.isnan([*posterior.crps(labels[:1]), *posterior.log_loss(labels[:1])]).all()
    assert np.isnan(posterior.pit(labels[:1])).all()


def test_no_mass_is_taken_for_the_smallest_that_there_is() -> None:
    masses = np.zeros((1, len(AGES)), np.float32)
    masses[0, 30] = 1
    assert PosteriorAges(Posterior(AGES, masses)).log_loss(_exact(60)) == pytest.approx([15.94], abs=0.01)


def test_right_predictions_have_a_uniform_pit() -> None:
    draw = np.random.default_rng(0)
    posterior = _posterior(2000)
    ages = [draw.choice(AGES, p=row / row.sum()) for row in posterior.posterior_NA.astype(np.float64)]
    for distribution, labels in (
        (PosteriorAges(posterior), _exact(*ages)),
        (NormalAges(np.full(2000, 40.0), np.full(2000, 6.0)), _exact(*np.rint(draw.normal(40, 6, 2000)))),
    ):
        below, up_to = distribution.pit(labels).T
        assert kstest(below + (up_to - below) * draw.random(2000), "uniform").pvalue > 0.05
