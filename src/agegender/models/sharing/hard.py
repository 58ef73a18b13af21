"""Hard parameter sharing (Caruana 1997): both heads read the same features. The published way."""

from __future__ import annotations

from torch import Tensor, nn

from agegender.models.backbone import Backbone
from agegender.models.sharing.sharing import Sharing


class Hard(Sharing):
    """Everything below the heads is shared."""

    branches = 1

    def forward(self, backbone: Backbone, images_BCHW: Tensor) -> list[Tensor]:
        return [backbone(images_BCHW)]

    def own_parameters(self, backbone: Backbone) -> list[list[nn.Parameter]]:  # noqa: ARG002
        return [[], []]
