"""torchvision's MobileNetV3-Large without its classifier (Howard et al. 2019, arXiv:1905.02244)."""

from __future__ import annotations

from agegender.core.registry import register
from agegender.models.torchvision_net import FeaturesNet


@register("model", "mobilenet_v3_large")
class MobileNetV3Large(FeaturesNet):
    """MobileNetV3-Large up to its global average pool: 960 features."""

    entry = "mobilenet_v3_large"
    num_features = 960
    ends = (3, 6, 12, 16)
    stage_channels = (24, 40, 112, 960)
