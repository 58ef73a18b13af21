"""Gender as annotated: two logits in the order of `GENDERS`, and their loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.core.types import GENDERS


@dataclass(frozen=True)
class GenderLoss:
    """Cross entropy, mean over faces; smoothed, weighed and focused where that is asked for.

    Labels are class numbers or, of mixed faces, P(female). With t the label shared out over both genders
    (Szegedy et al., CVPR 2016), w the classes' weights and p what the network says, a face's loss is
    -sum_c w_c t_c (1 - p_c)^gamma log p_c (focal loss: Lin et al., ICCV 2017). The mean is over faces, not
    over weights, so that the parts of a step add up.
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, float] | None = None
    focal_gamma: float = 0.0

    def __call__(self, logits_B2: Tensor, gender_B: Tensor) -> Tensor:
        if self == GenderLoss():
            # torch's own mean, the bits of the published training
            return F.cross_entropy(logits_B2, _both(gender_B) if gender_B.is_floating_point() else gender_B)
        return self.losses(logits_B2, gender_B).mean()

    def losses(self, logits_B2: Tensor, gender_B: Tensor) -> Tensor:
        """Each face's (B,)."""
        is_mixed = gender_B.is_floating_point()
        target_B2 = _both(gender_B) if is_mixed else F.one_hot(gender_B, len(GENDERS)).to(logits_B2.dtype)
        target_B2 = target_B2 * (1 - self.label_smoothing) + self.label_smoothing / len(GENDERS)
        if self.class_weights is not None:
            target_B2 = torch.stack(
                [w * t_B for w, t_B in zip(self.class_weights, target_B2.unbind(1), strict=True)], dim=1
            )
        log_p_B2 = logits_B2.log_softmax(1)
        # of two classes, 1 - p is the other's p: whose log has a gradient even where p is 1
        focus_B2 = (self.focal_gamma * log_p_B2.flip(1)).exp()
        return -(target_B2 * focus_B2 * log_p_B2).sum(1)


def _both(female_B: Tensor) -> Tensor:
    """The share of each gender (B, 2), in the order of GENDERS."""
    return torch.stack([female_B, 1 - female_B], dim=1)


class GenderHead(nn.Module):
    """Linear(features, 2) with cross entropy, or the loss that is put in its place."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, len(GENDERS))
        self.criterion = GenderLoss()

    def forward(self, features_BF: Tensor) -> Tensor:
        logits_B2: Tensor = self.linear(features_BF)
        return logits_B2

    def loss(self, logits_B2: Tensor, gender_B: Tensor) -> Tensor:
        """Mean loss; `gender_B` holds class numbers, or P(female) as floats, every one known."""
        return self.criterion(logits_B2.float(), gender_B)

    def losses(self, logits_B2: Tensor, gender_B: Tensor) -> Tensor:
        """Each face's loss (B,), of the same labels."""
        return self.criterion.losses(logits_B2.float(), gender_B)

    def decode(self, logits_B2: Tensor) -> Tensor:
        """P(female), (B,)."""
        return logits_B2.float().softmax(dim=1)[:, GENDERS.index("female")]
