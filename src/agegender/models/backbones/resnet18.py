"""torchvision's ResNet18 without its classifier (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

from agegender.core.registry import register
from agegender.models.torchvision_net import ResNet


@register("model", "resnet18")
class ResNet18(ResNet):
    """ResNet18 up to its global average pool: 512 features."""

    entry = "resnet18"
    num_features = 512
    stage_channels = (64, 128, 256, 512)
