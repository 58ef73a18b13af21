"""timm's EfficientNet-Lite0 without its classifier (Tan and Le 2019, arXiv:1905.11946)."""

from __future__ import annotations

from typing import ClassVar

from agegender.config.options import ModelOptions
from agegender.core.registry import register
from agegender.models.timm_net import TimmNet


@register("model", "efficientnet_lite0")
class EfficientNetLite0(TimmNet):
    """EfficientNet-Lite0 up to its global average pool: 1280 features."""

    class Options(ModelOptions):
        """`weights`: imagenet (timm downloads them), null, hf-hub:, or a file."""

        min_image_size: ClassVar[int] = 32

    entry = "tf_efficientnet_lite0.in1k"

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__(self.entry, options.weights, image_size)
