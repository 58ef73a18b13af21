"""Two last stages above one trunk: each task reads its own."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn

from agegender.models.backbone import Backbone
from agegender.models.sharing.sharing import Sharing


class SplitLastStage(Sharing):
    """The backbone's last stage, its attention and its pool are the age task's, a copy the gender task's.

    Both begin with the same weights, so that at the start they say what hard sharing says.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        self.gender = _last_stage(backbone)
        self._age = backbone.last_stage_parameters()  # asked for in every step

    def forward(self, backbone: Backbone, images_BCHW: Tensor) -> list[Tensor]:
        x = backbone.trunk(images_BCHW)
        return [backbone.tail(x), self.gender.tail(x)]

    def own_parameters(self, backbone: Backbone) -> list[list[nn.Parameter]]:  # noqa: ARG002
        return [self._age, list(self.gender.parameters())]

    def last_stages(self, backbone: Backbone) -> list[Backbone]:
        return [backbone, self.gender]


def _last_stage(backbone: Backbone) -> Backbone:
    """A copy without the weights that its `tail` does not need."""
    copy = deepcopy(backbone)
    needed = {id(parameter) for parameter in copy.last_stage_parameters()}
    for name, module in list(copy.named_modules()):
        own = dict(module.named_parameters(recurse=False))
        unneeded = [key for key, parameter in own.items() if id(parameter) not in needed]
        if unneeded and not any(module.children()):
            copy.set_submodule(name, nn.Identity())
            continue
        for key in unneeded:  # such as a class token, which belongs to no module of its own
            module.register_parameter(key, None)
    return copy
