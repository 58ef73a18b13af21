"""MGDA: the shortest vector among the weighted means of the gradients."""

from __future__ import annotations

from agegender.balancing.gramian import TorchJDBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "mgda")
class MGDA(TorchJDBalancer):
    """Multiple-gradient descent, after Desideri, 2012, and Sener and Koltun, NeurIPS 2018.

    The task with the smaller gradient weighs more.
    """

    class Options(BalancerOptions):
        """No settings of its own."""

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import MGDAWeighting

        super().__init__(MGDAWeighting())
