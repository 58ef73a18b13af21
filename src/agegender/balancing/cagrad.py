"""CAGrad: the direction near the mean gradient that helps the worse-off task most."""

from __future__ import annotations

from pydantic import Field

from agegender.balancing.gramian import TorchJDBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "cagrad")
class CAGrad(TorchJDBalancer):
    """Conflict-averse gradient descent, after Liu et al., NeurIPS 2021."""

    class Options(BalancerOptions):
        """Settings of CAGrad."""

        c: float = Field(
            ge=0,
            le=100,
            description="how far from the mean gradient, in its norms; 0 is the mean, the paper's 0.4",
        )

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import CAGradWeighting

        super().__init__(CAGradWeighting(options.c, norm_eps=1e-12))
