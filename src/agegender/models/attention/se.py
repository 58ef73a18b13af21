"""Squeeze-and-excitation (Hu, Shen & Sun, CVPR 2018, arXiv:1709.01507)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agegender.config.options import AttentionOptions
from agegender.core.registry import register
from agegender.models.attention.attention import Attention
from agegender.models.attention.gate import bottleneck, gate


@register("attention", "se")
class SE(Attention):
    """A gate a channel, from the channels' means by way of a bottleneck; behind each stage.

    The paper's gate is a sigmoid inside each residual block; this one is twice that, 1 at the start.
    """

    class Options(AttentionOptions):
        """Settings of SE."""

        reduction: int = Field(ge=1, le=1024, description="the bottleneck has so many times fewer channels")

    def __init__(self, options: Options, channels: int) -> None:
        super().__init__(options, channels)
        self.mlp = bottleneck(channels, options.reduction)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW * gate(self.mlp(x_BCHW.mean(dim=(2, 3))))[:, :, None, None]
