"""Several answers as one: the mixture's variance, entropy and median, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from agegender.evaluation.ensemble import averaged
from agegender.evaluation.posterior import Posterior
from agegender.evaluation.predicted import Floats, Predicted
from agegender.evaluation.table import SEVERAL

AGES = np.arange(0, 101)


def _gaussian(seed: int, faces: int = 5) -> Predicted:
    draw = np.random.default_rng(seed)
    return Predicted(draw.uniform(1, 80, faces), draw.uniform(2, 9, faces), draw.uniform(0, 1, faces))


def _with_posterior(seed: int, faces: int = 4, ages: np.ndarray | None = None) -> Predicted:
    """A head that answers the median of its posterior."""
    ages_A = AGES if ages is None else ages
    masses_NA = np.random.default_rng(seed).dirichlet(np.full(len(ages_A), 0.1), faces).astype(np.float32)
    mean_N = masses_NA @ ages_A
    std_N = np.sqrt((masses_NA * (ages_A - mean_N[:, None]) ** 2).sum(1))
    median_N = ages_A[(masses_NA.cumsum(1) < 0.5).sum(1)].astype(np.float64)
    return Predicted(median_N, std_N, np.full(faces, 0.5), Posterior(ages_A, masses_NA))


def _total(predicted: Predicted) -> Floats:
    total_N: Floats = predicted.columns["age_std"].to_numpy()
    return total_N


def test_the_law_of_total_variance() -> None:
    """The variance of a mixture of normal distributions, by its samples' moments on a fine grid."""
    members = [_gaussian(seed) for seed in range(3)]
    mixed = averaged(members)
    years_Y = np.linspace(-100, 200, 60_001)
    for face in range(5):
        density_Y = np.mean([norm.pdf(years_Y, m.age_N[face], m.aleatoric_N[face]) for m in members], axis=0)
        mean = np.trapezoid(density_Y * years_Y, years_Y)
        variance = np.trapezoid(density_Y * (years_Y - mean) ** 2, years_Y)
        assert mixed.age_N[face] == pytest.approx(mean)
        assert _total(mixed)[face] ** 2 == pytest.approx(variance)
    columns = mixed.columns
    parts = columns[SEVERAL[0]] ** 2 + columns[SEVERAL[1]] ** 2
    np.testing.assert_allclose(parts, columns["age_std"] ** 2)


def test_two_members_by_hand() -> None:
    a = Predicted(np.array([30.0]), np.array([3.0]), np.array([0.9]))
    b = Predicted(np.array([40.0]), np.array([5.0]), np.array([0.1]))
    row = averaged([a, b]).columns.iloc[0]
    assert row["age_pred"] == 35
    assert row["age_std_aleatoric"] == pytest.approx(np.sqrt((9 + 25) / 2))
    assert row["age_std_epistemic"] == pytest.approx(5)  # both are 5 years from their mean
    assert row["gender_prob"] == pytest.approx(0.5)
    assert row["gender_pred"] == "female"
    inner = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert row["gender_mutual_information"] == pytest.approx(np.log(2) - inner)


def test_members_that_agree_know_no_more_than_one() -> None:
    one = _gaussian(0)
    mixed = averaged([one, one, one])
    assert mixed.epistemic_N == pytest.approx(0, abs=1e-7)
    assert mixed.information_N == pytest.approx(0, abs=1e-12)
    assert mixed.columns["gender_mutual_information"].min() >= 0  # whatever rounding does
    np.testing.assert_allclose(_total(mixed), one.aleatoric_N)


def test_certain_members_that_contradict_share_all_of_a_bit() -> None:
    sure = [Predicted(np.zeros(1), np.zeros(1), np.array([p])) for p in (0.0, 1.0)]
    assert averaged(sure).information_N == pytest.approx(np.log(2))


def test_one_alone_is_left_as_it_is() -> None:
    one = _gaussian(0)
    assert averaged([one]) is one
    assert not set(SEVERAL) & set(one.columns)


@pytest.mark.parametrize("make", [_gaussian, _with_posterior])
@pytest.mark.parametrize("answer", ["mean", "median"])
def test_an_ensemble_of_ensembles_is_that_of_all(make: type, answer: str) -> None:
    """Of as many members each: nothing is lost of what is within and between."""
    members = [make(seed) for seed in range(6)]
    nested = averaged([averaged(members[:3], answer), averaged(members[3:], answer)], answer)
    flat = averaged(members, answer)
    # the mean of means is exact, and so is the median of the mean posterior
    for name in ("age_N", "aleatoric_N", "epistemic_N", "female_N", "information_N"):
        np.testing.assert_allclose(getattr(nested, name), getattr(flat, name), rtol=1e-5, err_msg=name)


def test_a_posterior_is_averaged_and_its_variance_is_the_total() -> None:
    members = [_with_posterior(seed) for seed in range(4)]
    mixed = averaged(members, "median")
    assert mixed.posterior is not None
    masses_NA = mixed.posterior.posterior_NA.astype(np.float64)
    np.testing.assert_allclose(masses_NA.sum(1), 1, atol=1e-6)
    mean_N = masses_NA @ AGES
    variance_N = (masses_NA * (AGES - mean_N[:, None]) ** 2).sum(1)
    np.testing.assert_allclose(_total(mixed) ** 2, variance_N, rtol=1e-4)
    for mass_A, age in zip(masses_NA, mixed.age_N, strict=True):
        assert mass_A[age > AGES].sum() < 0.5 <= mass_A[age >= AGES].sum() + 1e-6


def test_a_median_stays_in_the_range_of_the_labels() -> None:
    """The members' answers were cut to it; their posteriors reach beyond."""
    members = [_with_posterior(seed) for seed in range(3)]
    cut = [Predicted(np.clip(m.age_N, 20, 30), m.aleatoric_N, m.female_N, m.posterior) for m in members]
    np.testing.assert_array_equal(
        averaged(cut, "median").age_N, np.clip(averaged(members, "median").age_N, 20, 30)
    )


def test_posteriors_over_other_years_are_not_averaged() -> None:
    mixed = averaged([_with_posterior(0), _with_posterior(1, ages=AGES + 1)], "median")
    assert mixed.posterior is None
    a, b = _with_posterior(0).age_N, _with_posterior(1, ages=AGES + 1).age_N
    np.testing.assert_allclose(mixed.age_N, (a + b) / 2)


def test_a_head_without_a_spread_leaves_what_is_between() -> None:
    ages = ([30.0, 20.0], [40.0, 20.0])
    members = [Predicted(np.array(age), np.full(2, np.nan), np.full(2, 0.5)) for age in ages]
    columns = averaged(members).columns
    assert columns["age_std_aleatoric"].isna().all()
    np.testing.assert_allclose(columns["age_std"], [5, 0])


@pytest.mark.parametrize("members", [1, 3])
def test_a_table_brings_it_back(members: int) -> None:
    said = averaged([_gaussian(seed) for seed in range(members)])
    back = Predicted.of_table(said.columns, None)
    for name in ("age_N", "aleatoric_N", "epistemic_N", "female_N", "information_N"):
        before, now = getattr(said, name), getattr(back, name)
        assert (before is None) == (now is None)
        if before is not None:
            np.testing.assert_array_equal(before, now)
