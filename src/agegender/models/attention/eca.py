"""Efficient channel attention (Wang et al., CVPR 2020, arXiv:1910.03151)."""

from __future__ import annotations

import math

from torch import Tensor, nn

from agegender.config.options import AttentionOptions
from agegender.core.registry import register
from agegender.models.attention.attention import Attention
from agegender.models.attention.gate import gate


@register("attention", "eca")
class ECA(Attention):
    """A gate a channel, from the means of the channels next to it, without a bottleneck; behind each stage.

    The paper's gate is a sigmoid inside each residual block; this one is twice that, 1 at the start.
    """

    class Options(AttentionOptions):
        """No settings: the paper's formula gives the size of the kernel."""

    def __init__(self, options: Options, channels: int) -> None:
        super().__init__(options, channels)
        size = kernel_size(channels)
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
        nn.init.zeros_(self.conv.weight)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        means_B1C = x_BCHW.mean(dim=(2, 3))[:, None]
        return x_BCHW * gate(self.conv(means_B1C))[:, 0, :, None, None]


def kernel_size(channels: int) -> int:
    """|log2(C) / 2 + 1 / 2|, cut to a whole number and made odd (equation 12, gamma = 2, b = 1)."""
    size = int((math.log2(channels) + 1) / 2)
    return size if size % 2 else size + 1
