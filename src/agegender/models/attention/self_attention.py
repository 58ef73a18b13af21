"""Attention pooling with several heads over the last map or tokens.

A learned query asks every position, as in Set Transformer's PMA (Lee et al., ICML 2019, arXiv:1810.00825) and
the MAP head of vision transformers (Zhai et al., CVPR 2022, arXiv:2106.04560).
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from agegender.config.options import AttentionOptions
from agegender.core.errors import UserError
from agegender.core.registry import register
from agegender.models.attention.attention import Attention
from agegender.models.backbone import Backbone

_WAVES = 10_000.0
"""The longest wave of a position's sinusoids over the shortest (Vaswani et al. 2017)."""


@register("attention", "self_attention")
class SelfAttention(Attention):
    """Each head takes a mean over positions, weighted by what it finds in them; in place of the pool.

    A learned query and the projection of the keys meet in their product alone, so one linear layer, zero at
    the start, holds both. Values and output have projections that begin as the identity: the pool begins
    as the mean over all positions. Positions of a map are told by sinusoids along both axes under a gain a
    channel, zero at the start; tokens know theirs. There is no residual feed-forward layer: the heads come
    next.
    """

    class Options(AttentionOptions):
        """Settings of the attention pool."""

        heads: int = Field(ge=1, le=64, description="weighted means side by side, each of its channels")

    needs_map = False

    @classmethod
    def put_on(cls, options: Any, backbone: Backbone) -> None:
        """Replace the pool; a scratch network's linear layers go with it."""
        channels = backbone.stage_channels[-1]
        backbone.pool_by(cls(options, channels, backbone.has_map), channels)

    def __init__(self, options: Options, channels: int, has_map: bool = True) -> None:
        super().__init__(options, channels)
        if channels % options.heads:
            raise UserError(
                f"attention.heads={options.heads} does not divide the {channels} channels of the last stage"
            )
        self.heads = options.heads
        self.position_gain = nn.Parameter(torch.zeros(channels)) if has_map else None
        self.norm = nn.LayerNorm(channels)
        self.score = nn.Linear(channels, options.heads, bias=False)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)
        nn.init.zeros_(self.score.weight)
        for projection in (self.value, self.output):
            nn.init.eye_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, C, H, W) or tokens (B, N, C) to features (B, C)."""
        x_BNC = self._placed(x)
        weights_BNh = self._weights(x_BNC)
        values_BNhD = self.value(x_BNC).unflatten(2, (self.heads, -1))
        means_BhD = torch.einsum("bnh,bnhd->bhd", weights_BNh, values_BNhD)
        features_BC: Tensor = self.output(means_BhD.flatten(1))
        return features_BC

    def where(self, x: Tensor) -> Tensor:
        """The mean of the heads' weights, times the number of positions."""
        weights_BNh = self._weights(self._placed(x))
        where_BN = weights_BNh.mean(dim=2) * weights_BNh.shape[1]
        return where_BN.unflatten(1, x.shape[2:]) if x.ndim == 4 else where_BN

    def _weights(self, x_BNC: Tensor) -> Tensor:
        scores_BNh: Tensor = self.score(self.norm(x_BNC))
        return scores_BNh.float().softmax(dim=1).to(scores_BNh.dtype)

    def _placed(self, x: Tensor) -> Tensor:
        """As tokens that know where they are."""
        if self.position_gain is None:
            return x
        return x.flatten(2).transpose(1, 2) + self.position_gain * sinusoids(x).flatten(1).T


def sinusoids(map_BCHW: Tensor) -> Tensor:
    """(C, H, W): half of the channels tell the row, half the column, by sines and cosines of many waves."""
    channels, height, width = map_BCHW.shape[1:]
    index_C = torch.arange(channels, device=map_BCHW.device)
    wave_C = _WAVES ** (-(index_C // 4 * 4) / channels)
    phase_C = index_C % 2 * torch.pi / 2
    rows_CH = torch.sin(torch.arange(height, device=map_BCHW.device) * wave_C[:, None] + phase_C[:, None])
    columns_CW = torch.sin(torch.arange(width, device=map_BCHW.device) * wave_C[:, None] + phase_C[:, None])
    is_row_C11 = (index_C % 4 < 2)[:, None, None]
    return torch.where(is_row_C11, rows_CH[:, :, None], columns_CW[:, None, :])
