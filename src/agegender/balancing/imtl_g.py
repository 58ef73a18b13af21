"""Impartial multi-task learning, the gradient balance: equal progress along every gradient."""

from __future__ import annotations

from agegender.balancing.gramian import TorchJDBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "imtl_g")
class ImtlG(TorchJDBalancer):
    """The sum has the same projection on each gradient's direction, after Liu et al., ICLR 2021.

    Lambda changes the length of the sum, not its direction.
    """

    class Options(BalancerOptions):
        """No settings of its own."""

    is_blind_to_lambda = True

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import IMTLGWeighting

        super().__init__(IMTLGWeighting())
