"""The published way: the plain sum, lambda being the only weight."""

from __future__ import annotations

import torch
from torch import Tensor

from agegender.balancing.balancer import Balancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "fixed")
class Fixed(Balancer):
    """Backward of the sum of the losses."""

    class Options(BalancerOptions):
        """No settings of its own."""

    backward_passes = 1

    def __init__(self, options: Options) -> None:  # noqa: ARG002 (every balancer takes its options)
        super().__init__()

    def backward(self, losses_T: list[Tensor]) -> list[float]:
        torch.stack(losses_T).sum().backward()
        return [1.0] * len(losses_T)
