"""Published Model 3: torchvision's ResNet34 without its classifier (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

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
    stage_channels = (64, 128, 256, 512)
    stage_layers = (1, 2, 3, 4)

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__()
        models = import_torchvision("models")
        self.input_spec = InputSpec(image_size or 224, IMAGENET_MEAN, IMAGENET_STD)
        self.net: Any = models.resnet34(weights=None)
        self.net.fc = nn.Identity()
        load_torchvision_weights(self.net, options.weights, models.ResNet34_Weights.IMAGENET1K_V1)

    def embed(self, images_BCHW: Tensor) -> Tensor:
        x: Tensor = self.net.maxpool(self.net.relu(self.net.bn1(self.net.conv1(images_BCHW))))
        return x

    def stage(self, index: int, x: Tensor) -> Tensor:
        map_BCHW: Tensor = self.net.get_submodule(f"layer{index + 1}")(x)
        return map_BCHW

    def pool(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)
