"""Age heads that give a probability to every whole year."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from agegender.config.options import GridHeadOptions
from agegender.core.types import LabelSpec
from agegender.models.head import AgeEstimate, AgeHead
from agegender.models.label_prior import year_masses


class GridHead(AgeHead):
    """Base of heads with a posterior over the whole years of their range, without a gap.

    Decoded to its mean, the best answer for the squared error, or its median, the best for the absolute.
    """

    years_power = 0
    ages_A: Tensor

    def __init__(self, options: GridHeadOptions, label_spec: LabelSpec) -> None:
        super().__init__(label_spec)
        if options.age_range is not None:
            self.age_range = (options.age_range[0], options.age_range[1])
        low, high = self.age_range
        self.ages_A = torch.arange(math.floor(low), math.ceil(high) + 1)
        self.answer = options.decode

    def prior(self) -> np.ndarray:
        """Share of the training labels in each year (A,)."""
        return year_masses(self.label_spec, self.ages_A.numpy())

    def on_grid(self, age_B2: Tensor) -> Tensor:
        """Labels cut to the years that there are: an open bin such as 70 to 120 may reach beyond."""
        low, high = self.age_range
        return age_B2.clamp(math.floor(low), math.ceil(high))

    def posterior(self, raw_BK: Tensor) -> Tensor:
        """Probability of each year of `ages_A` (B, A)."""
        raise NotImplementedError

    def decode(self, raw_BK: Tensor) -> AgeEstimate:
        posterior_BA = self.posterior(raw_BK)
        mean_B = mean_age(posterior_BA, self.ages_A)
        std_B = age_variance(posterior_BA, self.ages_A, mean_B).sqrt()
        years_B = mean_B if self.answer == "mean" else self._median(posterior_BA)
        return AgeEstimate(self.in_label_range(years_B), std_B, posterior_BA)

    def _median(self, posterior_BA: Tensor) -> Tensor:
        """The first year by which half of the probability lies."""
        years_B: Tensor = self.ages_A[(posterior_BA.cumsum(1) < 0.5).sum(1)]
        return years_B.to(posterior_BA.dtype)


def mean_age(posterior_BA: Tensor, ages_A: Tensor) -> Tensor:
    """Expected age in years (B,)."""
    return (posterior_BA * ages_A).sum(1)


def age_variance(posterior_BA: Tensor, ages_A: Tensor, mean_B: Tensor) -> Tensor:
    """Variance of the posterior in years squared (B,)."""
    return (posterior_BA * (ages_A - mean_B[:, None]).square()).sum(1)


def membership(ages_A: Tensor, age_B2: Tensor) -> Tensor:
    """How far each whole year belongs to a label (B, A): 1 inside its interval, 0 from a year outside on.

    A fractional age belongs to its two neighbours by their nearness, which sum to 1.
    """
    below_BA = (age_B2[:, :1] - ages_A).clamp(min=0)
    above_BA = (ages_A - age_B2[:, 1:]).clamp(min=0)
    return (1 - below_BA - above_BA).clamp(min=0)


def surprise(log_posterior_BA: Tensor, ages_A: Tensor, age_B2: Tensor) -> Tensor:
    """Negative log-likelihood of labels (B,): cross entropy; censored where a label is an interval.

    The likelihood of an interval is the sum of its years'. Labels must lie on the grid.
    """
    member_BA = membership(ages_A, age_B2)
    exact_B = -(member_BA * log_posterior_BA).sum(1)
    interval_B = -(log_posterior_BA + member_BA.log()).logsumexp(1)
    return torch.where(age_B2[:, 0] == age_B2[:, 1], exact_B, interval_B)
