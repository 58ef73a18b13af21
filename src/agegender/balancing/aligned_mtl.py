"""Aligned-MTL: the gradients' principal components are scaled to the same size."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agegender.balancing.gramian import TorchJDBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "aligned_mtl")
class AlignedMTL(TorchJDBalancer):
    """Independent component alignment, after Senushkin et al., CVPR 2023."""

    class Options(BalancerOptions):
        """Settings of Aligned-MTL."""

        scale: Literal["min", "median", "rmse"] = Field(
            description="size that all components get: the smallest (the paper's), the median, the mean"
        )

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import AlignedMTLWeighting

        super().__init__(AlignedMTLWeighting(scale_mode=options.scale))
