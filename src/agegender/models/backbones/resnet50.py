"""torchvision's ResNet50 without its classifier (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

from agegender.core.registry import register
from agegender.models.torchvision_net import ResNet


@register("model", "resnet50")
class ResNet50(ResNet):
    """ResNet50 up to its global average pool: 2048 features."""

    entry = "resnet50"
    num_features = 2048
    stage_channels = (256, 512, 1024, 2048)
