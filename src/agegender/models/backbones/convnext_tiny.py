"""torchvision's ConvNeXt-T without its last linear layer (Liu et al. 2022, arXiv:2201.03545)."""

from __future__ import annotations

from torch import Tensor

from agegender.core.registry import register
from agegender.models.torchvision_net import FeaturesNet


@register("model", "convnext_tiny")
class ConvNeXtTiny(FeaturesNet):
    """ConvNeXt-T up to the layer norm behind its global average pool: 768 features."""

    entry = "convnext_tiny"
    classifier = "classifier.2"
    num_features = 768
    ends = (1, 3, 5, 7)
    stage_channels = (96, 192, 384, 768)
    pool_modules = ("net.classifier",)

    def pool(self, x: Tensor) -> Tensor:
        features_BF: Tensor = self.net.classifier(self.net.avgpool(x))
        return features_BF
