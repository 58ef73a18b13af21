"""Age as a chain of questions "older than k, if at least k?": CORN."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.config.options import GridHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.grid_head import GridHead, surprise


@register("age_head", "corn")
class CornHead(GridHead):
    """sigmoid(w_k x + b_k) = P(age > k | age >= k); P(age > k), a product of these, falls with k.

    Shi, Cao and Raschka, "Deep neural networks for rank-consistent ordinal regression based on conditional
    probabilities", Pattern Analysis and Applications 2023 (arXiv:2111.08851). Its loss, the binary cross
    entropy of each face's questions, is the negative log-likelihood of the posterior; intervals have the
    censored one. The mean is over faces (coral-pytorch divides by the number of classes instead). In nats,
    without a unit. It starts from the training labels' distribution.
    """

    class Options(GridHeadOptions):
        """Settings of CORN."""

    def __init__(self, options: Options, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(options, label_spec)
        self.linear = nn.Linear(num_features, len(self.ages_A) - 1)
        prior_A = self.prior()
        above_K = prior_A[::-1].cumsum()[::-1][1:]
        with torch.no_grad():
            self.linear.bias.copy_(torch.from_numpy(np.log(above_K / prior_A[:-1])))

    def forward(self, features_BF: Tensor) -> Tensor:
        """Logits of P(age > k | age >= k) (B, A - 1) for all but the last of `ages_A`."""
        logits_BK: Tensor = self.linear(features_BF)
        return logits_BK

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        return surprise(log_posterior(raw_BK), self.ages_A, self.on_grid(age_B2))

    def posterior(self, raw_BK: Tensor) -> Tensor:
        return log_posterior(raw_BK).exp()


def log_posterior(logits_BK: Tensor) -> Tensor:
    """Log-probability of each class (B, K + 1): past all before it, and no further."""
    reached_BA = F.pad(F.logsigmoid(logits_BK).cumsum(1), (1, 0))
    return reached_BA + F.pad(F.logsigmoid(-logits_BK), (0, 1))
