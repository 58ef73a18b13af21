"""Multi-task attention network (Liu, Johns & Davison, CVPR 2019, arXiv:1803.10704)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.models.attention.gate import gate
from agegender.models.backbone import Backbone
from agegender.models.sharing.sharing import Sharing

_BOTTLENECK = 4


class MTAN(Sharing):
    """One backbone; each task has a gate for every value of what a stage says, and reads the last one gated.

    A gate follows from what the stage says and from the task's gated map of the stage before, which one
    extractor a stage, shared by the tasks, brings to the next stage's size and width. Simpler than the paper:
    gates see the end of a stage, not also its beginning; a bottleneck of a quarter of the channels, as in the
    authors' network for ResNets; no normalisation in front of the gates, which are twice a sigmoid, 1 at the
    start: then both tasks read what hard sharing says. What is gated last goes through the backbone's pool.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        channels = backbone.stage_channels
        inputs = [channels[0], *(2 * width for width in channels[1:])]
        widths = list(zip(inputs, channels, strict=True))
        self.age, self.gender = (nn.ModuleList(_logits(*pair) for pair in widths) for _ in range(2))
        self.extractors = nn.ModuleList(_extractor(*pair) for pair in pairwise(channels))

    def forward(self, backbone: Backbone, images_BCHW: Tensor) -> list[Tensor]:
        x = backbone.embed(images_BCHW)
        gated_T: list[Tensor] = []
        for index, logits_T in enumerate(zip(self.age, self.gender, strict=True)):
            x = backbone.attended(index, x)
            seen_T = [self._seen(index, x, gated) for gated in gated_T] or [x, x]
            gated_T = [x * gate(logits(seen)) for logits, seen in zip(logits_T, seen_T, strict=True)]
        return [backbone.pooled(gated_BCHW) for gated_BCHW in gated_T]

    def own_parameters(self, backbone: Backbone) -> list[list[nn.Parameter]]:  # noqa: ARG002
        return [list(self.age.parameters()), list(self.gender.parameters())]

    def _seen(self, index: int, x_BCHW: Tensor, before_BCHW: Tensor) -> Tensor:
        """What a task's gates follow from: the stage's map, and the task's own of the stage before."""
        own_BCHW = self.extractors[index - 1](before_BCHW)
        return torch.cat([x_BCHW, F.adaptive_max_pool2d(own_BCHW, x_BCHW.shape[2:])], dim=1)


def _logits(channels_in: int, channels: int) -> nn.Sequential:
    width = max(channels // _BOTTLENECK, 1)
    last = nn.Conv2d(width, channels, 1)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Conv2d(channels_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), last)


def _extractor(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )
