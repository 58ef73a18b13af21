"""The published way: the plain sum, lambda being the only weight."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer, Weights
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "fixed")
class Fixed(Balancer):
    """The sum of the losses."""

    class Options(BalancerOptions):
        """No settings of its own."""

    trained = ()

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        super().__init__()

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        return Weights.same([1.0] * len(TASKS))
