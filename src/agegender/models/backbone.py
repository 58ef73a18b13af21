"""What every backbone is: images in, one feature vector a face out."""

from __future__ import annotations

from torch import Tensor, nn

from agegender.core.types import InputSpec

HALF = (0.5, 0.5, 0.5)


class Backbone(nn.Module):
    """Base of all backbones; a subclass sets the attributes in its `__init__(options, image_size)`.

    `num_features` is the width of the features, `input_spec` the preprocessing that its weights
    expect, `explain_layer` the dotted name of the module whose output is the last feature map.
    """

    num_features: int
    input_spec: InputSpec
    explain_layer: str

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Normalised float images (B, 3, size, size) to features (B, num_features)."""
        raise NotImplementedError
