"""Age as a ladder of questions "older than k?" that share their weights: CORAL."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.config.options import GridHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.grid_head import GridHead


@register("age_head", "coral")
class CoralHead(GridHead):
    """P(age > k) = sigmoid(w x + b_k) with one w for all years k; binary cross entropy, summed over them.

    Cao, Mirjalili and Raschka, "Rank consistent ordinal regression for neural networks with application to
    age estimation", Pattern Recognition Letters 2020. There b_k falls with k where the loss is least; here
    it does so by construction, being a start less a cumulative sum of softplus, so that no probability is
    negative at any time. It starts from the training labels' distribution. One level a year: the sum over
    them counts years.
    """

    class Options(GridHeadOptions):
        """Settings of CORAL."""

    years_power = 1

    def __init__(self, options: Options, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(options, label_spec)
        above_K = 1 - np.cumsum(self.prior())[:-1]
        logits_K = torch.from_numpy(np.log(above_K / (1 - above_K))).float()
        self.score = nn.Linear(num_features, 1, bias=False)
        self.first_bias = nn.Parameter(logits_K[:1])
        self.falls = nn.Parameter((-logits_K.diff()).expm1().log())  # of which softplus is the inverse

    def forward(self, features_BF: Tensor) -> Tensor:
        """Logits of P(age > k) (B, A - 1) for all but the last of `ages_A`."""
        bias_K = torch.cat([self.first_bias, self.first_bias - F.softplus(self.falls).cumsum(0)])
        logits_BK: Tensor = self.score(features_BF) + bias_K
        return logits_BK

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        # a fractional age is past its year by a share; between an interval's ends nothing is known
        past_BK, may_be_past_BK = (
            (end_B[:, None] - self.ages_A[:-1]).clamp(0, 1) for end_B in self.on_grid(age_B2).unbind(1)
        )
        return coral_losses(raw_BK, past_BK, past_BK == may_be_past_BK)

    def posterior(self, raw_BK: Tensor) -> Tensor:
        above_BA = F.pad(raw_BK.sigmoid(), (0, 1))
        return (F.pad(raw_BK.sigmoid(), (1, 0), value=1.0) - above_BA).clamp(min=0)


def coral_losses(logits_BK: Tensor, levels_BK: Tensor, known_BK: Tensor) -> Tensor:
    """Binary cross entropy (B,), summed over the levels that are known."""
    losses_BK = F.binary_cross_entropy_with_logits(logits_BK, levels_BK, reduction="none")
    return (losses_BK * known_BK).sum(1)
