"""What every age head is: it owns its width, its loss and its decoding to years."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from agegender.core.types import LabelSpec


@dataclass(frozen=True)
class AgeEstimate:
    """Decoded ages in years: a point a face; a standard deviation and a posterior where the head has them."""

    years_B: Tensor
    std_B: Tensor | None = None
    posterior_BA: Tensor | None = None
    """Probability of each whole year of the head's `ages_A`; rows sum to 1."""


class AgeHead(nn.Module):
    """Base of all age heads, built as `Head(options, num_features, label_spec)`.

    Raw outputs come in float32 (`AgeGenderNet.read`), but the loss is called under autocast: matrix
    products, which that would take to bfloat16, have no place in it.
    """

    years_power: float
    """The loss counts years to this power: 2 for squared errors, 0 for a loss without a unit."""

    age_range: tuple[float, float]
    """Years that the head can say; a label outside of it cannot be learned."""

    ages_A: Tensor | None
    """Whole years that the posterior is over; None for a head without one."""

    answer: Literal["mean", "median"] = "mean"
    """What of its posterior or its distribution `years_B` is."""

    def __init__(self, label_spec: LabelSpec) -> None:
        super().__init__()
        self.label_spec = label_spec
        self.age_range = (label_spec.age_min, label_spec.age_max)
        self.register_buffer("ages_A", None, persistent=False)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Features (B, F) to the raw output (B, K) that `loss` and `decode` understand."""
        raise NotImplementedError

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        """Each face's loss (B,) against its label in years.

        A label is its inclusive interval [low, high]; both are the same where the age is exact. Every age
        is known (missing ones are masked before).
        """
        raise NotImplementedError

    def loss(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        """Scalar loss, the mean over faces."""
        return self.losses(raw_BK, age_B2).mean()

    def decode(self, raw_BK: Tensor) -> AgeEstimate:
        """Ages in years, inside the label range."""
        raise NotImplementedError

    def in_label_range(self, years_B: Tensor) -> Tensor:
        return years_B.clamp(self.label_spec.age_min, self.label_spec.age_max)


def nearest(years_B: Tensor, age_B2: Tensor) -> Tensor:
    """The point of each label that is nearest to a prediction, without a gradient.

    That is the label itself where it is exact; inside its interval a prediction has no error.
    """
    return years_B.detach().clamp(age_B2[:, 0], age_B2[:, 1])
