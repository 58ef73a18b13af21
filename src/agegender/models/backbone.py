"""What every backbone is: images in, one feature vector a face out."""

from __future__ import annotations

from torch import Tensor, nn

from agegender.core.types import InputSpec

HALF = (0.5, 0.5, 0.5)


class Backbone(nn.Module):
    """Base of all backbones; a subclass sets the attributes in its `__init__(options, image_size)`.

    `num_features` is the width of the features, `input_spec` the preprocessing that its weights
    expect, `explain_layer` the dotted name of the module whose output is the last feature map, `layers`
    the dotted names of its modules from the image to the features, those of one depth together.
    """

    num_features: int
    input_spec: InputSpec
    explain_layer: str
    layers: tuple[tuple[str, ...], ...]

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Normalised float images (B, 3, size, size) to features (B, num_features)."""
        raise NotImplementedError

    def layer_parameters(self) -> list[list[nn.Parameter]]:
        """The parameters of each of `layers`."""
        return [
            [parameter for name in names for parameter in self.get_submodule(name).parameters()]
            for names in self.layers
        ]
