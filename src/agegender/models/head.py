"""What every age head is: it owns its width, its loss and its decoding to years."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from agegender.core.types import LabelSpec


@dataclass(frozen=True)
class AgeEstimate:
    """Decoded ages in years: a point a face, and a standard deviation where the head has one."""

    years_B: Tensor
    std_B: Tensor | None = None


class AgeHead(nn.Module):
    """Base of all age heads, built as `Head(options, num_features, label_spec)`."""

    years_power: ClassVar[int]
    """The loss counts years to this power: 2 for squared errors, 0 for a loss without a unit."""

    def __init__(self, label_spec: LabelSpec) -> None:
        super().__init__()
        self.label_spec = label_spec

    def forward(self, features_BF: Tensor) -> Tensor:
        """Features (B, F) to the raw output (B, K) that `loss` and `decode` understand."""
        raise NotImplementedError

    def loss(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        """Scalar loss against inclusive intervals in years; every age is known (missing ones are masked)."""
        raise NotImplementedError

    def decode(self, raw_BK: Tensor) -> AgeEstimate:
        """Ages in years, inside the label range."""
        raise NotImplementedError
