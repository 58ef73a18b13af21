"""timm's ViT-S/16 without its classifier (Steiner et al. 2021, arXiv:2106.10270)."""

from __future__ import annotations

from typing import ClassVar

from agegender.config.options import ModelOptions
from agegender.core.registry import register
from agegender.models.timm_net import TimmNet


@register("model", "vit_s_16")
class ViTS16(TimmNet):
    """ViT-S/16 up to its last norm: 384 features, the class token's.

    At another image size the weights' position embeddings are interpolated.
    """

    class Options(ModelOptions):
        """`weights`: imagenet (timm downloads them), null, hf-hub:, or a file."""

        min_image_size: ClassVar[int] = 32
        patch_size: ClassVar[int] = 16

    entry = "vit_small_patch16_224.augreg_in21k_ft_in1k"

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__(self.entry, options.weights, image_size)
