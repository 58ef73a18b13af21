"""Published Model 2: four convolutions with BatchNorm and dropout, trained from scratch."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from agegender.config.options import Fraction, ModelOptions
from agegender.core.registry import register
from agegender.core.types import InputSpec
from agegender.models.backbone import HALF, Backbone
from agegender.models.weights import fetch_weights, load_weights

_CHANNELS = (3, 32, 64, 128, 256)


@register("model", "scratch_cnn_v2")
class ScratchCNNv2(Backbone):
    """Conv 3x3 of 32 to 256 channels, each BatchNorm, ReLU, max-pool 2; Linear 512 and 256 with dropout."""

    class Options(ModelOptions):
        """Settings of Model 2."""

        min_image_size: ClassVar[int] = 16

        dropout: list[Fraction] = Field(
            min_length=2, max_length=2, description="after the first and the second linear layer"
        )

    num_features = 256
    explain_layer = "stages.15"
    layers = (
        ("stages.0", "stages.1"), ("stages.4", "stages.5"), ("stages.8", "stages.9"),
        ("stages.12", "stages.13"), ("neck",),
    )  # fmt: skip
    stage_channels = _CHANNELS[1:]
    stage_layers = (0, 1, 2, 3)
    pool_modules = ("neck",)

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__()
        self.input_spec = InputSpec(image_size or 128, HALF, HALF)
        stages: list[nn.Module] = []
        for channels_in, channels_out in pairwise(_CHANNELS):
            stages += [
                nn.Conv2d(channels_in, channels_out, 3, padding=1),
                nn.BatchNorm2d(channels_out),
                nn.MaxPool2d(2),
                nn.ReLU(),  # the published order is ReLU, then pool: the same function, at more work
            ]
        self.stages = nn.Sequential(*stages)
        side = self.input_spec.size // 16
        first, second = options.dropout
        self.neck = nn.Sequential(
            nn.Flatten(),
            nn.Linear(_CHANNELS[-1] * side * side, 512),
            nn.ReLU(),
            nn.Dropout(first),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Dropout(second),
        )
        self.loaded = load_weights(self, fetch_weights(options.weights))

    def stage(self, index: int, x: Tensor) -> Tensor:
        map_BCHW: Tensor = self.stages[4 * index : 4 * index + 4](x)
        return map_BCHW

    def pool(self, x: Tensor) -> Tensor:
        features_BF: Tensor = self.neck(x)
        return features_BF
