"""PCGrad, gradient surgery: each gradient loses what points against another."""

from __future__ import annotations

from agegender.balancing.gramian import TorchJDBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "pcgrad")
class PCGrad(TorchJDBalancer):
    """Sum of the gradients, each projected off those it conflicts with, after Yu et al., NeurIPS 2020.

    Without a conflict it is the plain sum.
    """

    class Options(BalancerOptions):
        """No settings of its own."""

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import PCGradWeighting

        super().__init__(PCGradWeighting())
