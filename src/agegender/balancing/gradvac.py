"""GradVac, gradient vaccine: gradients are turned towards the similarity that they have had so far."""

from __future__ import annotations

import torch
from pydantic import Field

from agegender.balancing.balancer import TASKS
from agegender.balancing.gramian import TorchJDBalancer
from agegender.config.options import BalancerOptions, Fraction
from agegender.core.registry import register


@register("balancer", "gradvac")
class GradVac(TorchJDBalancer):
    """Surgery towards a running mean of the cosine instead of 0, after Wang et al., ICLR 2021."""

    class Options(BalancerOptions):
        """Settings of GradVac."""

        beta: Fraction = Field(description="what the newest cosine weighs in the mean; the paper's is 0.01")

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import GradVacWeighting

        weighting = GradVacWeighting(options.beta)
        weighting._ensure_state(len(TASKS), torch.float64)  # else state_dict lacks it before the first step
        super().__init__(weighting)
