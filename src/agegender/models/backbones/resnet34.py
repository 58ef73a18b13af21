"""Published Model 3: torchvision's ResNet34 without its classifier (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from agegender.config.options import ModelOptions
from agegender.core.registry import register
from agegender.core.torchvision_shim import import_torchvision
from agegender.core.types import InputSpec
from agegender.models.backbone import Backbone
from agegender.models.weights import load_torchvision_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@register("model", "resnet34")
class ResNet34(Backbone):
    """ResNet34 up to its global average pool: 512 features."""

    class Options(ModelOptions):
        """`weights`: imagenet (torchvision downloads them), null, or a torchvision state dict."""

        min_image_size: ClassVar[int] = 32

    num_features = 512
    explain_layer = "net.layer4"
    layers = (
        ("net.conv1", "net.bn1"), ("net.layer1",), ("net.layer2",), ("net.layer3",), ("net.layer4",),
    )  # fmt: skip

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__()
        models = import_torchvision("models")
        self.input_spec = InputSpec(image_size or 224, IMAGENET_MEAN, IMAGENET_STD)
        self.net: nn.Module = models.resnet34(weights=None)
        self.net.fc = nn.Identity()
        load_torchvision_weights(self.net, options.weights, models.ResNet34_Weights.IMAGENET1K_V1)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        features: Tensor = self.net(images_BCHW)
        return features
