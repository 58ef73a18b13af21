"""Uncertainty weighting: each task's loss is divided by a variance that is learned with the network."""

from __future__ import annotations

from pydantic import Field

from agegender.balancing.balancer import TASKS
from agegender.balancing.scalarized import LearnedScalarized
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "uncertainty")
class Uncertainty(LearnedScalarized):
    """Sum of loss / (2 sigma^2) + log sigma over the tasks, after Kendall et al., CVPR 2018.

    Both losses are divided alike, the paper's factor of cross entropy (1 / sigma^2) being half as large.
    For a loss that stands still sigma^2 comes to that loss; lambda cancels there.
    """

    class Options(BalancerOptions):
        """Settings of uncertainty weighting."""

        lr: float = Field(gt=0, le=10, description="Adam's rate for log sigma^2, whose steps it bounds")

    is_blind_to_lambda = True
    at_rest = 1.0

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.scalarization import UW

        super().__init__(UW(len(TASKS)), options.lr)
