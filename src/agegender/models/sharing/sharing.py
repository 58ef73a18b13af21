"""How much of the network the two tasks share."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from agegender.models.backbone import Backbone


class Sharing(nn.Module):
    """Base of all ways to share a backbone; built on one, it owns what each task has for itself."""

    branches: ClassVar[int] = 2
    """How many feature vectors a face has: one for both tasks, or one a task."""

    def __init__(self, backbone: Backbone) -> None:  # noqa: ARG002
        super().__init__()

    def forward(self, backbone: Backbone, images_BCHW: Tensor) -> list[Tensor]:
        """Images to features (B, F), one tensor a branch, that of the age task first."""
        raise NotImplementedError

    def own_parameters(self, backbone: Backbone) -> list[list[nn.Parameter]]:
        """What each task has for itself below its head, in the order of `TASKS`."""
        raise NotImplementedError

    def last_stages(self, backbone: Backbone) -> list[Backbone]:
        """Of each task, the backbone whose last stage its features come from."""
        return [backbone, backbone]
