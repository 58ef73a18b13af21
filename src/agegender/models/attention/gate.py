"""What a gate multiplies by, and the bottleneck that many gates share."""

from __future__ import annotations

from torch import Tensor, nn


def gate(logits: Tensor) -> Tensor:
    """2 sigmoid(x): 1 at 0, so that a last layer of zeros changes nothing and yet learns at once."""
    return 2 * logits.sigmoid()


def bottleneck(channels: int, reduction: int) -> nn.Sequential:
    """(B, C) to (B, C) by way of C / reduction; its last layer holds zeros."""
    width = max(channels // reduction, 1)
    last = nn.Linear(width, channels)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(channels, width), nn.ReLU(), last)
