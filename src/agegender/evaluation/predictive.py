"""What is said of a face's age as a distribution, and its scores: likelihood, CRPS, PIT.

A label is the inclusive interval of its whole years (N, 2), both ends the same where the age is exact.
Log loss and PIT count the mass of these years, so that heads with a density and heads with a
probability a year compare. The CRPS is an integral over years; between the ends of an interval it counts
nothing, as the error of a point counts nothing there, and is the better the wider the label.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from agegender.evaluation.age_figures import age_error
from agegender.evaluation.bootstrap import Floats
from agegender.evaluation.posterior import Posterior
from agegender.evaluation.temperature import SMALLEST


class Predictive(ABC):
    """A distribution of the age of each of N faces. NaN where the label or the distribution is unknown."""

    @abstractmethod
    def log_loss(self, ages_N2: Floats) -> Floats:
        """-log of the probability given to the label (N,), in nats; infinite where that is 0."""

    @abstractmethod
    def crps(self, ages_N2: Floats) -> Floats:
        """Continuous ranked probability score (N,) in years; of a sure prediction its absolute error.

        Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 2007.
        """

    @abstractmethod
    def pit(self, ages_N2: Floats) -> Floats:
        """Probability given to less than the label and to no more than it (N, 2).

        Where the predictions are right, a number drawn between the two is uniform over the faces
        (Czado, Gneiting and Held, "Predictive model assessment for count data", Biometrics 2009).
        """


class NormalAges(Predictive):
    """Mean and standard deviation in years (N,); a standard deviation of 0 is a sure prediction."""

    def __init__(self, mean_N: Floats, std_N: Floats) -> None:
        self._mean_N1, self._is_sure_N = mean_N[:, None], std_N == 0
        self._std_N = np.where(self._is_sure_N, np.nan, std_N)

    def log_loss(self, ages_N2: Floats) -> Floats:
        from scipy.special import log_ndtr

        years_N2 = _whole_years(ages_N2)
        left_N, right_N = self._standard(years_N2).T
        # right of the mean the mirror image, since 1 - tiny is 1
        is_right_N = left_N + right_N > 0
        left_N, right_N = np.where(is_right_N, -right_N, left_N), np.where(is_right_N, -left_N, right_N)
        log_below_N, log_up_to_N = log_ndtr(left_N), log_ndtr(right_N)
        with np.errstate(divide="ignore"):  # no mass at all: infinite
            loss_N = -(log_up_to_N + np.log(-np.expm1(log_below_N - log_up_to_N)))
        is_missed_N = age_error(years_N2, self._mean_N1[:, 0]) != 0
        return self._or_sure(loss_N, np.where(is_missed_N, np.inf, 0.0), ages_N2)

    def crps(self, ages_N2: Floats) -> Floats:
        low_N, high_N = self._standard(ages_N2).T
        crps_N = self._std_N * (_squared_below(low_N) + _squared_below(-high_N))
        return self._or_sure(crps_N, np.abs(age_error(ages_N2, self._mean_N1[:, 0])), ages_N2)

    def pit(self, ages_N2: Floats) -> Floats:
        from scipy.special import ndtr

        years_N2 = _whole_years(ages_N2)
        is_sure_N2 = self._is_sure_N[:, None] & ~np.isnan(ages_N2)
        pit_N2: Floats = ndtr(self._standard(years_N2))
        pit_N2[is_sure_N2] = (self._mean_N1 <= years_N2)[is_sure_N2]
        return pit_N2

    def _standard(self, years_N2: Floats) -> Floats:
        standard_N2: Floats = (years_N2 - self._mean_N1) / self._std_N[:, None]
        return standard_N2

    def _or_sure(self, value_N: Floats, of_sure_N: Floats, ages_N2: Floats) -> Floats:
        return np.where(self._is_sure_N & ~np.isnan(ages_N2[:, 0]), of_sure_N, value_N)


class PosteriorAges(Predictive):
    """A probability for each whole year of a range without a gap."""

    def __init__(self, posterior: Posterior) -> None:
        self._ages_A = posterior.ages_A.astype(np.float64)
        self._mass_NA = posterior.posterior_NA.astype(np.float64)
        self._up_to_NA = np.minimum(self._mass_NA.cumsum(axis=1), 1)

    def log_loss(self, ages_N2: Floats) -> Floats:
        """A fractional age has the mass between its neighbours; no mass is below float32's resolution."""
        low_N1, high_N1 = ages_N2[:, :1], ages_N2[:, 1:]
        outside_NA = np.maximum(low_N1 - self._ages_A, 0) + np.maximum(self._ages_A - high_N1, 0)
        mass_N = (self._mass_NA * np.maximum(1 - outside_NA, 0)).sum(axis=1)
        loss_N: Floats = -np.log(np.clip(mass_N, SMALLEST, 1))
        return loss_N

    def crps(self, ages_N2: Floats) -> Floats:
        low_N1, high_N1 = ages_N2[:, :1], ages_N2[:, 1:]
        first, end = self._ages_A[0], self._ages_A[-1] + 1
        # the share of the year that begins with each age, below the label and above it
        below_NA = np.clip(low_N1 - self._ages_A, 0, 1)
        above_NA = np.clip(self._ages_A + 1 - high_N1, 0, 1)
        inside_N = (self._up_to_NA**2 * below_NA + (1 - self._up_to_NA) ** 2 * above_NA).sum(axis=1)
        beyond_N = np.maximum(low_N1 - end, 0) + np.maximum(first - high_N1, 0)
        crps_N: Floats = inside_N + beyond_N[:, 0]
        return crps_N

    def pit(self, ages_N2: Floats) -> Floats:
        padded_NA = np.pad(self._up_to_NA, ((0, 0), (1, 0)))
        low_N, high_N = np.nan_to_num(ages_N2).T
        places_N2 = np.column_stack(
            [np.searchsorted(self._ages_A, low_N, "left"), np.searchsorted(self._ages_A, high_N, "right")]
        )
        pit_N2 = np.take_along_axis(padded_NA, places_N2, axis=1)
        return np.where(np.isnan(ages_N2), np.nan, pit_N2)


def _whole_years(ages_N2: Floats) -> Floats:
    years_N2: Floats = ages_N2 + np.array([-0.5, 0.5])
    return years_N2


def _squared_below(z_N: Floats) -> Floats:
    """The integral up to z of the squared normal distribution function."""
    from scipy.special import ndtr

    density_N = np.exp(-(z_N**2) / 2) / np.sqrt(2 * np.pi)
    below_N: Floats = ndtr(z_N)
    integral_N: Floats = z_N * below_N**2 + 2 * density_N * below_N - ndtr(z_N * np.sqrt(2)) / np.sqrt(np.pi)
    return integral_N
