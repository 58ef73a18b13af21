"""Published Model 1: three convolutions and one linear layer, trained from scratch."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from agegender.config.options import ModelOptions
from agegender.core.registry import register
from agegender.core.types import InputSpec
from agegender.models.backbone import HALF, Backbone
from agegender.models.weights import fetch_weights, load_weights

_CHANNELS = (3, 32, 64, 128)


@register("model", "scratch_cnn")
class ScratchCNN(Backbone):
    """Conv 3x3 of 32, 64, 128 channels, each ReLU and max-pool 2; Linear to 256, ReLU."""

    class Options(ModelOptions):
        """No settings of its own."""

    num_features = 256
    explain_layer = "stages.8"
    layers = (("stages.0",), ("stages.3",), ("stages.6",), ("neck",))
    stage_channels = _CHANNELS[1:]
    stage_layers = (0, 1, 2)
    pool_modules = ("neck",)

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__()
        self.input_spec = InputSpec(image_size or 128, HALF, HALF)
        stages: list[nn.Module] = []
        for channels_in, channels_out in pairwise(_CHANNELS):
            # the published order is ReLU, then pool: the same function, at four times the work
            stages += [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
        self.stages = nn.Sequential(*stages)
        side = self.input_spec.size // 8
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(_CHANNELS[-1] * side * side, 256), nn.ReLU())
        self.loaded = load_weights(self, fetch_weights(options.weights))

    def stage(self, index: int, x: Tensor) -> Tensor:
        map_BCHW: Tensor = self.stages[3 * index : 3 * index + 3](x)
        return map_BCHW

    def pool(self, x: Tensor) -> Tensor:
        features_BF: Tensor = self.neck(x)
        return features_BF
