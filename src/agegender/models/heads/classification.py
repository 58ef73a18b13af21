"""Age as a class a year, read as the expectation: DEX."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agegender.config.options import GridHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.grid_head import GridHead, surprise


@register("age_head", "classification")
class ClassificationHead(GridHead):
    """Softmax over whole years with cross entropy, decoded to its expectation.

    Rothe, Timofte and Van Gool, "DEX: Deep EXpectation of apparent age from a single image", ICCVW 2015;
    IJCV 2018. It starts from the training labels' distribution. The loss, in nats, has no unit.
    """

    class Options(GridHeadOptions):
        """Settings of DEX."""

    def __init__(self, options: GridHeadOptions, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(options, label_spec)
        self.linear = nn.Linear(num_features, len(self.ages_A))
        with torch.no_grad():
            self.linear.bias.copy_(torch.from_numpy(self.prior()).log())

    def forward(self, features_BF: Tensor) -> Tensor:
        logits_BA: Tensor = self.linear(features_BF)
        return logits_BA

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        return surprise(raw_BK.log_softmax(1), self.ages_A, self.on_grid(age_B2))

    def posterior(self, raw_BK: Tensor) -> Tensor:
        return raw_BK.softmax(1)
