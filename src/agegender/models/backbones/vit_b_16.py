"""torchvision's ViT-B/16 without its classifier (Dosovitskiy et al. 2021, arXiv:2010.11929)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from agegender.core.registry import register
from agegender.core.torchvision_shim import import_torchvision
from agegender.models.torchvision_net import TorchvisionNet
from agegender.models.weights import State

_PATCH = 16
_STAGE = 3
"""Blocks of each of the four stages."""


@register("model", "vit_b_16")
class ViTB16(TorchvisionNet):
    """ViT-B/16 up to its last norm: 768 features, the class token's.

    At another image size the weights' position embeddings are interpolated.
    """

    class Options(TorchvisionNet.Options):
        """Settings of every network of torchvision."""

        patch_size: ClassVar[int] = _PATCH

    entry = "vit_b_16"
    classifier = "heads"
    num_features = 768
    has_map = False
    explain_layer = "net.encoder.layers.encoder_layer_11.ln_1"
    layers = (
        ("net.conv_proj",),
        *((f"net.encoder.layers.encoder_layer_{number}",) for number in range(11)),
        ("net.encoder.layers.encoder_layer_11", "net.encoder.ln"),
    )
    loose_parameters = ("net.class_token", "net.encoder.pos_embedding")
    stage_channels = (768, 768, 768, 768)
    stage_layers = (3, 6, 9, 12)

    def build(self) -> nn.Module:
        net: nn.Module = import_torchvision("models").vit_b_16(weights=None, image_size=self.input_spec.size)
        return net

    def adapt(self, state: State) -> State:
        if "encoder.pos_embedding" not in state:
            return state
        interpolate = import_torchvision("models.vision_transformer").interpolate_embeddings
        adapted: State = interpolate(self.input_spec.size, _PATCH, dict(state))
        return adapted

    def embed(self, images_BCHW: Tensor) -> Tensor:
        patches_BNC = self.net._process_input(images_BCHW)
        class_token_B1C = self.net.class_token.expand(len(images_BCHW), -1, -1)
        x: Tensor = torch.cat([class_token_B1C, patches_BNC], 1) + self.net.encoder.pos_embedding
        return x

    def stage(self, index: int, x: Tensor) -> Tensor:
        tokens_BNC: Tensor = self.net.encoder.layers[_STAGE * index : _STAGE * (index + 1)](x)
        return self.net.encoder.ln(tokens_BNC) if index == 3 else tokens_BNC

    def pool(self, x: Tensor) -> Tensor:
        return x[:, 0]
