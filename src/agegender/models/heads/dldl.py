"""Age as a distribution over the years about the label: DLDL-v2."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agegender.config.options import GridHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.grid_head import mean_age, surprise
from agegender.models.head import nearest
from agegender.models.heads.classification import ClassificationHead


@register("age_head", "dldl")
class LabelDistributionHead(ClassificationHead):
    """KL(label distribution || posterior) + expectation_weight * |mean - age|.

    The label distribution is a normal one about the age, `sigma` years wide, cut to the grid. Gao, Zhou,
    Wu and Geng, "Age estimation using expectation of label distribution learning", IJCAI 2018.
    An interval has its censored likelihood in place of the divergence and the mean's
    distance to it. The second term counts years; `loss.age_unit` leaves the sum as it is.
    """

    class Options(GridHeadOptions):
        """Settings of DLDL-v2."""

        sigma: float = Field(gt=0, le=50, description="years; width of the label distribution")
        expectation_weight: float = Field(
            ge=0, le=1000, description="of the mean's absolute error in years; the paper's is 1"
        )

    def __init__(self, options: Options, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(options, num_features, label_spec)
        self._sigma, self._expectation_weight = options.sigma, options.expectation_weight

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        age_B2 = self.on_grid(age_B2)
        log_posterior_BA = raw_BK.log_softmax(1)
        log_label_BA = self._log_label(age_B2[:, 0])
        divergence_B = (log_label_BA.exp() * (log_label_BA - log_posterior_BA)).sum(1)
        interval_B = surprise(log_posterior_BA, self.ages_A, age_B2)
        distribution_B = torch.where(age_B2[:, 0] == age_B2[:, 1], divergence_B, interval_B)
        mean_B = mean_age(log_posterior_BA.exp(), self.ages_A)
        error_B = (mean_B - nearest(mean_B, age_B2)).abs()
        return distribution_B + self._expectation_weight * error_B

    def _log_label(self, age_B: Tensor) -> Tensor:
        """Log of the label distributions (B, A)."""
        return (-((self.ages_A - age_B[:, None]) / self._sigma).square() / 2).log_softmax(1)
