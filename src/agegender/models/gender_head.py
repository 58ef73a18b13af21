"""Gender as annotated: two logits in the order of `GENDERS`, cross entropy."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.core.types import GENDERS


class GenderHead(nn.Module):
    """Linear(features, 2) with cross entropy."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, len(GENDERS))

    def forward(self, features_BF: Tensor) -> Tensor:
        logits_B2: Tensor = self.linear(features_BF)
        return logits_B2

    def loss(self, logits_B2: Tensor, gender_B: Tensor) -> Tensor:
        """Mean cross entropy; `gender_B` holds class numbers, or P(female) as floats, every one known."""
        if gender_B.is_floating_point():
            # mixed faces: the order is that of GENDERS
            gender_B = torch.stack([gender_B, 1 - gender_B], dim=1)
        return F.cross_entropy(logits_B2.float(), gender_B)

    def decode(self, logits_B2: Tensor) -> Tensor:
        """P(female), (B,)."""
        return logits_B2.float().softmax(dim=1)[:, GENDERS.index("female")]
