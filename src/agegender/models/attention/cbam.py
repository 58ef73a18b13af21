"""Convolutional block attention module (Woo et al., ECCV 2018, arXiv:1807.06521)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from agegender.config.options import AttentionOptions
from agegender.core.registry import register
from agegender.models.attention.attention import Attention
from agegender.models.attention.gate import bottleneck, gate


@register("attention", "cbam")
class CBAM(Attention):
    """A gate a channel, then a gate a position; behind each stage.

    Channels: one bottleneck over the mean and over the maximum of each, added up. Positions: a convolution
    over the mean and the maximum of the channels. The paper's gates are sigmoids inside each residual block;
    these are twice that, 1 at the start.
    """

    class Options(AttentionOptions):
        """Settings of CBAM."""

        reduction: int = Field(ge=1, le=1024, description="the bottleneck has so many times fewer channels")
        kernel_size: Literal[3, 5, 7] = Field(description="side of the convolution over positions")

    def __init__(self, options: Options, channels: int) -> None:
        super().__init__(options, channels)
        self.mlp = bottleneck(channels, options.reduction)
        size = options.kernel_size
        self.conv = nn.Conv2d(2, 1, size, padding=size // 2, bias=False)
        nn.init.zeros_(self.conv.weight)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self._channels(x_BCHW)
        return x_BCHW * self._positions(x_BCHW)

    def where(self, x: Tensor) -> Tensor:
        return self._positions(self._channels(x))[:, 0]

    def _channels(self, x_BCHW: Tensor) -> Tensor:
        logits_BC = self.mlp(x_BCHW.mean(dim=(2, 3))) + self.mlp(x_BCHW.amax(dim=(2, 3)))
        return x_BCHW * gate(logits_BC)[:, :, None, None]

    def _positions(self, x_BCHW: Tensor) -> Tensor:
        both_B2HW = torch.stack([x_BCHW.mean(dim=1), x_BCHW.amax(dim=1)], dim=1)
        return gate(self.conv(both_B2HW))
