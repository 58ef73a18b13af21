"""What every attention is: a module behind each stage of a backbone, or a pool in place of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from agegender.config.options import AttentionOptions
from agegender.core import registry
from agegender.models.backbone import Backbone


class Attention(nn.Module):
    """Base of all attention, built as `Attention(options, channels)`.

    At the start it changes nothing, so that loaded weights keep working.
    """

    needs_map: ClassVar[bool] = True
    """Whether stages must say maps (B, C, H, W)."""

    def __init__(self, options: AttentionOptions, channels: int) -> None:  # noqa: ARG002
        super().__init__()

    @classmethod
    def put_on(cls, options: Any, backbone: Backbone) -> None:
        """Set one module behind each stage."""
        backbone.attend([cls(options, channels) for channels in backbone.stage_channels])

    def where(self, x: Tensor) -> Tensor | None:  # noqa: ARG002
        """How much each position of its input counts, 1 being as much as without attention.

        (B, H, W) of a map, (B, N) of tokens; None for an attention that does not tell positions apart.
        """
        return None


def put_attention(options: AttentionOptions, backbone: Backbone) -> None:
    """Set attention on a backbone that has its weights.

    What is drawn afterwards is what would be drawn without it: heads begin alike, whatever the attention.
    """
    kind: type[Attention] = registry.find("attention", options.name)
    with torch.random.fork_rng(devices=[]):
        kind.put_on(options, backbone)
