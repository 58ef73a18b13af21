"""Smooth Tchebycheff scalarization: the larger loss is what counts."""

from __future__ import annotations

from pydantic import Field

from agegender.balancing.scalarized import Scalarized
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "stch")
class SmoothTchebycheff(Scalarized):
    """mu * log of the sum of exp(loss / (2 mu)), after Lin et al., ICML 2024, with 0 as the ideal point.

    Where lambda makes one loss larger by many times mu, the other task has no weight.
    """

    class Options(BalancerOptions):
        """Settings of STCH."""

        mu: float = Field(gt=0, le=1e6, description="smoothing, in the losses' units; small: the maximum")

    needs = "losses"

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.scalarization import STCH

        super().__init__(STCH(options.mu))
