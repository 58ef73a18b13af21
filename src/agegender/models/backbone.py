"""What every backbone is: images in, one feature vector a face out, by way of stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from agegender.core.types import InputSpec
from agegender.models.weights import Loaded

HALF = (0.5, 0.5, 0.5)


class Backbone(nn.Module):
    """Base of all backbones; a subclass sets the attributes in its `__init__(options, image_size)`.

    An image is embedded, goes through the stages, and what the last one says is pooled. Attention may stand
    behind every stage, and another pool in place of the backbone's own.
    """

    num_features: int
    """Width of the features."""
    input_spec: InputSpec
    """The preprocessing that its weights expect."""
    explain_layer: str
    """Dotted name of a module that `stage` calls whole, whose output is the last feature map; of tokens, one
    in front of their last exchange, where a class token alone is read behind it."""
    layers: tuple[tuple[str, ...], ...]
    """Dotted names of its modules from the image to the features, those of one depth together."""
    loose_parameters: tuple[str, ...] = ()
    """Dotted names of the first layer's parameters that no module there holds, such as class tokens."""
    stage_channels: tuple[int, ...]
    """Channels of what each stage says."""
    stage_layers: tuple[int, ...]
    """Where each stage ends: a position in `layers`."""
    has_map: bool = True
    """Whether stages say maps (B, C, H, W); else they say tokens (B, N, C)."""
    pool_modules: tuple[str, ...] = ()
    """Dotted names of the modules that only its own pool needs."""

    library: ClassVar[str] = "agegender"
    """What it comes from."""
    loaded: Loaded | None = None
    """What it took from `model.weights`."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleList()
        self.pooling: nn.Module | None = None

    def has_weights_at_hand(self) -> bool | None:
        """Whether the weights that `imagenet` means are on this machine; None where there are none."""
        return None

    def embed(self, images_BCHW: Tensor) -> Tensor:
        """What comes in front of the first stage."""
        return images_BCHW

    def stage(self, index: int, x: Tensor) -> Tensor:
        """One stage, without attention; the last one ends with the last feature map."""
        raise NotImplementedError

    def pool(self, x: Tensor) -> Tensor:
        """The last map or tokens to features (B, num_features)."""
        raise NotImplementedError

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Normalised float images (B, 3, size, size) to features (B, num_features)."""
        return self.tail(self.trunk(images_BCHW))

    def trunk(self, images_BCHW: Tensor) -> Tensor:
        """Up to the last stage, which is left out."""
        x = self.embed(images_BCHW)
        for index in range(len(self.stage_channels) - 1):
            x = self.attended(index, x)
        return x

    def tail(self, x: Tensor) -> Tensor:
        """The last stage and the pool."""
        return self.pooled(self.attended(len(self.stage_channels) - 1, x))

    def attended(self, index: int, x: Tensor) -> Tensor:
        """One stage and the attention behind it."""
        x = self.stage(index, x)
        return self.attention[index](x) if self.attention else x

    def pooled(self, x: Tensor) -> Tensor:
        """The last map or tokens to features, by whichever pool there is."""
        return self.pool(x) if self.pooling is None else self.pooling(x)

    def attend(self, modules: Sequence[nn.Module]) -> None:
        """Set attention behind every stage: one module each, of unchanged shape."""
        self.attention = nn.ModuleList(modules)

    def pool_by(self, pooling: nn.Module, num_features: int) -> None:
        """Replace the pool; what only the old one needed goes."""
        self.pooling, self.num_features = pooling, num_features
        for name in self.pool_modules:
            self.set_submodule(name, nn.Identity())

    def layer_modules(self) -> list[list[nn.Module]]:
        """The modules of each of `layers`, attention with the stage that it stands behind."""
        found = [[self.get_submodule(name) for name in names] for names in self.layers]
        for module, layer in zip(self.attention, self.stage_layers, strict=False):
            found[layer].append(module)
        if self.pooling is not None:
            found[-1].append(self.pooling)
        return found

    def layer_parameters(self) -> list[list[nn.Parameter]]:
        """The parameters of each of `layers`."""
        layers = [
            [parameter for module in modules for parameter in module.parameters()]
            for modules in self.layer_modules()
        ]
        layers[0] += [self.get_parameter(name) for name in self.loose_parameters]
        return layers

    def last_stage_parameters(self) -> list[nn.Parameter]:
        """Those of the last stage and of what comes behind it."""
        first = self.stage_layers[-2] + 1 if len(self.stage_layers) > 1 else 0
        return [parameter for layer in self.layer_parameters()[first:] for parameter in layer]
