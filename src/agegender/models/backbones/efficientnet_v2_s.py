"""torchvision's EfficientNetV2-S without its classifier (Tan and Le 2021, arXiv:2104.00298)."""

from __future__ import annotations

from agegender.core.registry import register
from agegender.models.torchvision_net import FeaturesNet


@register("model", "efficientnet_v2_s")
class EfficientNetV2S(FeaturesNet):
    """EfficientNetV2-S up to its global average pool: 1280 features."""

    entry = "efficientnet_v2_s"
    num_features = 1280
    ends = (2, 3, 5, 7)
    stage_channels = (48, 64, 160, 1280)
