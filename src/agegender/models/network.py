"""One backbone, two heads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from agegender.config.options import AgeHeadOptions, ModelOptions
from agegender.core import registry
from agegender.core.types import InputSpec, LabelSpec
from agegender.models.backbone import Backbone
from agegender.models.gender_head import GenderHead
from agegender.models.head import AgeHead


@dataclass(frozen=True)
class Outputs:
    """Raw outputs of a batch: `age_BK` for the age head to decode, gender logits (B, 2)."""

    age_BK: Tensor
    gender_B2: Tensor


class AgeGenderNet(nn.Module):
    """Backbone -> features -> age head and gender head.

    While `frozen` is set the backbone runs in eval mode and outside autograd: neither its parameters
    nor its buffers can change, and no gradient is computed for it.
    """

    def __init__(self, backbone: Backbone, age_head: AgeHead, gender_head: GenderHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.age_head = age_head
        self.gender_head = gender_head
        self.frozen = False

    @property
    def input_spec(self) -> InputSpec:
        return self.backbone.input_spec

    def heads(self) -> list[nn.Parameter]:
        return [parameter for own in self.own_parameters() for parameter in own]

    def own_parameters(self) -> list[list[nn.Parameter]]:
        """Each task's own, in the order of `TASKS`."""
        return [list(self.age_head.parameters()), list(self.gender_head.parameters())]

    def shared_parameters(self) -> list[nn.Parameter]:
        """What every task's loss reaches, from the image on; none while it is frozen."""
        return [parameter for parameter in self.backbone.parameters() if parameter.requires_grad]

    def freeze_backbone(self, frozen: bool) -> None:
        """Freeze or thaw the backbone; call `train()` or `eval()` afterwards as before."""
        self.frozen = frozen
        self.backbone.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> AgeGenderNet:
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, images_BCHW: Tensor) -> Outputs:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features_BF = self.backbone(images_BCHW)
        return self.read(features_BF)

    def read(self, features_BF: Tensor) -> Outputs:
        """What the heads say to a backbone's features, in float32 whatever the backbone computes in.

        bfloat16 holds 60 years to a quarter of a year.
        """
        with torch.autocast(features_BF.device.type, enabled=False):
            features_BF = features_BF.float()
            return Outputs(self.age_head(features_BF), self.gender_head(features_BF))


def build_backbone(model: ModelOptions, image_size: int | None) -> Backbone:
    """The backbone that `model.name` names; raises UserError for weights it cannot have."""
    backbone: Backbone = registry.build("model", model, image_size)
    return backbone


def build_network(backbone: Backbone, age_head: AgeHeadOptions, label_spec: LabelSpec) -> AgeGenderNet:
    """Heads drawn anew on top of a backbone."""
    head = registry.build("age_head", age_head, backbone.num_features, label_spec)
    return AgeGenderNet(backbone, head, GenderHead(backbone.num_features))
