"""Several answers to the same faces as one: passes of a network, or the networks of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import entr

from agegender.evaluation.posterior import Posterior
from agegender.evaluation.predicted import Floats, Predicted


def averaged(members: Sequence[Predicted], answer: str = "mean") -> Predicted:
    """The members' mixture in equal parts: years, P(female) and posteriors are means.

    One member alone is left as it is. Else, after Lakshminarayanan, Pritzel and Blundell (NIPS 2017), what a
    member states itself is aleatoric, what the members' means differ in is epistemic; a member that is such
    a mixture brings its own of both. By the law of total variance the squares of the two are the variance of
    the mixture. Of gender the epistemic part is the mutual information, the entropy of the mean less the
    mean entropy (Houlsby et al., arXiv:1112.5745). Posteriors are kept where all are over the same years;
    `answer` "median" then takes the median of the mean posterior, in place of the mean of the medians.
    """
    if len(members) == 1:
        return members[0]
    age_N = np.mean([member.age_N for member in members], axis=0)
    female_N = np.mean([member.female_N for member in members], axis=0)
    posterior = _mean_posterior(members)
    if posterior is not None and answer == "median":
        ages = [member.age_N for member in members]  # a mixture's median lies between its members'
        age_N = np.clip(_medians(posterior), np.min(ages, axis=0), np.max(ages, axis=0))
    within_N = np.mean([member.aleatoric_N**2 for member in members], axis=0)
    inner_N = np.mean([_or_zeros(member.epistemic_N, member) ** 2 for member in members], axis=0)
    between_N = inner_N + np.var([_means(member) for member in members], axis=0)
    stated = [_entropy(member.female_N) - _or_zeros(member.information_N, member) for member in members]
    return Predicted(
        age_N,
        np.sqrt(within_N),
        female_N,
        posterior,
        np.sqrt(between_N),
        np.maximum(_entropy(female_N) - np.mean(stated, axis=0), 0.0),  # rounding may take it below
    )


def _mean_posterior(members: Sequence[Predicted]) -> Posterior | None:
    posteriors = [member.posterior for member in members if member.posterior is not None]
    if len(posteriors) < len(members):
        return None
    ages_A = posteriors[0].ages_A
    if not all(np.array_equal(posterior.ages_A, ages_A) for posterior in posteriors):
        return None
    masses_NA = np.mean([posterior.posterior_NA for posterior in posteriors], axis=0)
    return Posterior(ages_A, masses_NA.astype(np.float32))


def _means(member: Predicted) -> Floats:
    """Expected ages, which an answer that is a median or was cut to the labels' range is not."""
    if member.posterior is None:
        return member.age_N
    means_N: Floats = member.posterior.posterior_NA.astype(np.float64) @ member.posterior.ages_A
    return means_N


def _medians(posterior: Posterior) -> Floats:
    """The first year by which half of the probability lies."""
    below_NA = posterior.posterior_NA.cumsum(axis=1) < 0.5
    years_N: Floats = posterior.ages_A[below_NA.sum(axis=1)].astype(np.float64)
    return years_N


def _or_zeros(values_N: Floats | None, member: Predicted) -> Floats:
    return np.zeros_like(member.age_N) if values_N is None else values_N


def _entropy(female_N: Floats) -> Floats:
    """Of a binary probability, nats."""
    entropy_N: Floats = entr(female_N) + entr(1 - female_N)
    return entropy_N
