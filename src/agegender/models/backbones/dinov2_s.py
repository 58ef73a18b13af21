"""timm's DINOv2 ViT-S/14, trained without labels (Oquab et al. 2023, arXiv:2304.07193)."""

from __future__ import annotations

from typing import ClassVar

from agegender.config.options import ModelOptions
from agegender.core.registry import register
from agegender.models.timm_net import TimmNet

_SIZE = 224
"""Its weights are those of 518 px, which is more than most photographs of faces have."""


@register("model", "dinov2_s")
class DINOv2S(TimmNet):
    """DINOv2 ViT-S/14 up to its last norm: 384 features, the class token's.

    The weights' position embeddings are interpolated to the image size.
    """

    class Options(ModelOptions):
        """`weights`: imagenet (here those of LVD-142M; timm downloads them), null, hf-hub:, or a file."""

        min_image_size: ClassVar[int] = 28
        patch_size: ClassVar[int] = 14

    entry = "vit_small_patch14_dinov2.lvd142m"

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__(self.entry, options.weights, image_size or _SIZE)
