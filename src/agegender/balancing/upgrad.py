"""UPGrad: each gradient is projected to where it hurts no task, then the mean is taken."""

from __future__ import annotations

from agegender.balancing.gramian import TorchJDBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "upgrad")
class UPGrad(TorchJDBalancer):
    """Jacobian descent, after Quinton and Rey, 2024; of two tasks it is half of what PCGrad gives."""

    class Options(BalancerOptions):
        """No settings of its own."""

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import UPGradWeighting
        from torchjd.linalg import QuadprogProjector

        # its own 1e-4 is not small beside a gradient that is 30 times shorter than the other
        projector = QuadprogProjector(norm_eps=1e-12, reg_eps=1e-10)
        super().__init__(UPGradWeighting(projector=projector))
