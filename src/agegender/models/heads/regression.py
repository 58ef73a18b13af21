"""Age as one number with the mean squared error: the published head."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.config.options import AgeHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.head import AgeEstimate, AgeHead


@register("age_head", "regression")
class RegressionHead(AgeHead):
    """Linear(features, 1); loss in years squared.

    With `rescale` the raw output counts standard deviations about the training labels' mean, so that
    training starts from the constant predictor instead of from age 0; the loss stays in years squared.
    """

    class Options(AgeHeadOptions):
        """Settings of the regression head."""

        rescale: bool = Field(description="start from the training labels' mean and standard deviation")

    years_power = 2

    def __init__(self, options: Options, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(label_spec)
        self.linear = nn.Linear(num_features, 1)
        self._mean = label_spec.age_mean if options.rescale else 0.0
        self._std = label_spec.age_std if options.rescale else 1.0

    def forward(self, features_BF: Tensor) -> Tensor:
        raw_B1: Tensor = self.linear(features_BF)
        return raw_B1

    def _years(self, raw_B1: Tensor) -> Tensor:
        return raw_B1.float()[:, 0] * self._std + self._mean

    def loss(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        years_B = self._years(raw_BK)
        return F.mse_loss(years_B, years_B.detach().clamp(age_B2[:, 0], age_B2[:, 1]))

    def decode(self, raw_BK: Tensor) -> AgeEstimate:
        return AgeEstimate(self._years(raw_BK).clamp(self.label_spec.age_min, self.label_spec.age_max))
