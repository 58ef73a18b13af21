"""Age as one number: with the mean squared error, the published head."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.config.options import AgeHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.head import AgeEstimate, AgeHead, nearest


@register("age_head", "regression")
class RegressionHead(AgeHead):
    """Linear(features, 1); loss in years squared (`mse`, `huber`) or years (`l1`).

    With `rescale` the raw output counts standard deviations about the training labels' mean, so that
    training starts from the constant predictor instead of from age 0; the loss stays in years. The error
    to an interval is the distance to it. Huber, 1964: e^2 / 2 up to delta years, from there on
    delta * (|e| - delta / 2).
    """

    class Options(AgeHeadOptions):
        """Settings of the regression head."""

        loss: Literal["mse", "l1", "huber"] = Field(description="squared, absolute, or Huber's error")
        huber_delta: float = Field(
            gt=0, le=150, description="loss=huber: years; larger errors count linearly"
        )
        rescale: bool = Field(description="start from the training labels' mean and standard deviation")

    def __init__(self, options: Options, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(label_spec)
        self.linear = nn.Linear(num_features, 1)
        self.years_power = 1 if options.loss == "l1" else 2
        self._options = options
        self._mean = label_spec.age_mean if options.rescale else 0.0
        self._std = label_spec.age_std if options.rescale else 1.0

    def forward(self, features_BF: Tensor) -> Tensor:
        raw_B1: Tensor = self.linear(features_BF)
        return raw_B1

    def _years(self, raw_B1: Tensor) -> Tensor:
        return raw_B1[:, 0] * self._std + self._mean

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        return self._loss(raw_BK, age_B2, "none")

    def loss(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        return self._loss(raw_BK, age_B2, "mean")  # torch's own, the bits of the published training

    def _loss(self, raw_BK: Tensor, age_B2: Tensor, reduction: str) -> Tensor:
        years_B = self._years(raw_BK)
        target_B = nearest(years_B, age_B2)
        if self._options.loss == "l1":
            return F.l1_loss(years_B, target_B, reduction=reduction)
        if self._options.loss == "huber":
            return F.huber_loss(years_B, target_B, reduction=reduction, delta=self._options.huber_delta)
        return F.mse_loss(years_B, target_B, reduction=reduction)

    def decode(self, raw_BK: Tensor) -> AgeEstimate:
        return AgeEstimate(self.in_label_range(self._years(raw_BK)))
