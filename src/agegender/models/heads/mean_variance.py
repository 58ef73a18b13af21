"""Age as a class a year whose distribution is pulled together about the label: mean-variance loss."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agegender.config.options import GridHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.grid_head import age_variance, mean_age
from agegender.models.head import nearest
from agegender.models.heads.classification import ClassificationHead


@register("age_head", "mean_variance")
class MeanVarianceHead(ClassificationHead):
    """Cross entropy + mean_weight * (mean - age)^2 / 2 + variance_weight * variance of the posterior.

    Pan, Han, Shan and Chen, "Mean-variance loss for deep age estimation from a face", CVPR 2018, with
    weights 0.2 and 0.05. The mean's error to an interval is the distance to it. Two of the terms count
    years squared and lead at first (some 60 where ages spread by 20 years), the cross entropy in the end;
    `loss.age_unit` leaves the sum as it is.
    """

    class Options(GridHeadOptions):
        """Settings of the mean-variance head."""

        mean_weight: float = Field(ge=0, le=1000, description="of half the mean's squared error; paper: 0.2")
        variance_weight: float = Field(ge=0, le=1000, description="of the variance; the paper's is 0.05")

    def __init__(self, options: Options, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(options, num_features, label_spec)
        self._mean_weight, self._variance_weight = options.mean_weight, options.variance_weight

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        posterior_BA = self.posterior(raw_BK)
        mean_B = mean_age(posterior_BA, self.ages_A)
        error_B = mean_B - nearest(mean_B, self.on_grid(age_B2))
        variance_B = age_variance(posterior_BA, self.ages_A, mean_B)
        pulled_B = self._mean_weight * error_B.square() / 2 + self._variance_weight * variance_B
        return super().losses(raw_BK, age_B2) + pulled_B
