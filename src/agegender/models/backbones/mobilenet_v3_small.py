"""torchvision's MobileNetV3-Small without its classifier (Howard et al. 2019, arXiv:1905.02244)."""

from __future__ import annotations

from agegender.core.registry import register
from agegender.models.torchvision_net import FeaturesNet


@register("model", "mobilenet_v3_small")
class MobileNetV3Small(FeaturesNet):
    """MobileNetV3-Small up to its global average pool: 576 features."""

    entry = "mobilenet_v3_small"
    num_features = 576
    ends = (1, 3, 8, 12)
    stage_channels = (16, 24, 48, 576)
