"""UPGrad: each gradient is projected to where it hurts no task, then the mean is taken."""

from __future__ import annotations

from agegender.balancing.gramian import GramianBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "upgrad")
class UPGrad(GramianBalancer):
    """Jacobian descent, after Quinton and Rey, 2024; of two tasks it is half of what PCGrad gives."""

    class Options(BalancerOptions):
        """No settings of its own."""

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import UPGradWeighting

        super().__init__(UPGradWeighting)
