"""One backbone, two heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch._functorch.config as functorch_config
from torch import Tensor, nn

from agegender.config.maps import check_map
from agegender.config.options import AgeHeadOptions, AttentionOptions, ModelOptions
from agegender.core import registry
from agegender.core.types import InputSpec, LabelSpec
from agegender.models.attention.attention import put_attention
from agegender.models.backbone import Backbone
from agegender.models.gender_head import GenderHead
from agegender.models.head import AgeHead
from agegender.models.sharing.build import build_sharing
from agegender.models.sharing.sharing import Sharing
from agegender.models.trainable import rest_where_frozen, trainable_names


@dataclass(frozen=True)
class Outputs:
    """Raw outputs of a batch: `age_BK` for the age head to decode, gender logits (B, 2)."""

    age_BK: Tensor
    gender_B2: Tensor


class AgeGenderNet(nn.Module):
    """Backbone -> features -> age head and gender head.

    While `frozen` is set all below the heads runs in eval mode and outside autograd: neither its parameters
    nor its buffers can change, and no gradient is computed for it.
    """

    def __init__(
        self,
        backbone: Backbone,
        age_head: AgeHead,
        gender_head: GenderHead,
        sharing: Sharing,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.sharing = sharing
        self.age_head = age_head
        self.gender_head = gender_head
        self.frozen = False

    @property
    def input_spec(self) -> InputSpec:
        return self.backbone.input_spec

    @property
    def feature_width(self) -> int:
        """Columns of what `features` says."""
        return self.sharing.branches * self.backbone.num_features

    def heads(self) -> list[nn.Parameter]:
        """Of both heads, those that are trained."""
        return [p for head in (self.age_head, self.gender_head) for p in head.parameters() if p.requires_grad]

    def own_parameters(self) -> list[list[nn.Parameter]]:
        """What each task trains for itself alone, in the order of `TASKS`."""
        below_T = self.sharing.own_parameters(self.backbone)
        heads_T = (self.age_head, self.gender_head)
        return [
            [parameter for parameter in (*below, *head.parameters()) if parameter.requires_grad]
            for below, head in zip(below_T, heads_T, strict=True)
        ]

    def shared_parameters(self) -> list[nn.Parameter]:
        """What every task's loss reaches and a phase trains, from the image on."""
        own = {id(parameter) for parameters in self.own_parameters() for parameter in parameters}
        return [p for p in self._below_heads() if p.requires_grad and id(p) not in own]

    def layer_parameters(self) -> list[list[nn.Parameter]]:
        """What a phase trains below the heads, a list a layer, from the image on."""
        layers = self.backbone.layer_parameters()
        layers[-1] = [*layers[-1], *self.sharing.parameters()]
        return [[parameter for parameter in layer if parameter.requires_grad] for layer in layers]

    def _below_heads(self) -> list[nn.Parameter]:
        """The sharing's stand beside the backbone; the last one of the list is the last layer's."""
        return [*self.sharing.parameters(), *self.backbone.parameters()]

    def set_trainable(self, wanted: str | Sequence[str]) -> None:
        """Freeze all parameters but `wanted`: heads, last_stage, all, or patterns over their names.

        Call `train()` or `eval()` afterwards as before. Raises UserError for a pattern that fits no name.
        """
        names = self.trainable_names(wanted)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in names)
        self.frozen = not any(parameter.requires_grad for parameter in self._below_heads())

    def trainable_names(self, wanted: str | Sequence[str]) -> set[str]:
        """The names of the parameters that `wanted` means; UserError for a pattern that fits none."""
        every = dict(self.named_parameters())
        heads = {name for name in every if name.startswith(("age_head.", "gender_head."))}
        last = {id(p) for p in (*self.backbone.last_stage_parameters(), *self.sharing.parameters())}
        last_stage = heads | {name for name, parameter in every.items() if id(parameter) in last}
        words = {"heads": heads, "last_stage": last_stage, "all": set(every)}
        return trainable_names(list(every), words, wanted)

    def compile_features(self) -> None:
        """torch.compile what comes below the heads."""
        functorch_config.donated_buffer = False  # each task goes back through the graph on its own
        self._below = torch.compile(self._below)  # type: ignore[method-assign]

    def uncompile_features(self) -> None:
        """Undo `compile_features`: compiled code does not heed hooks that are set after it was made."""
        vars(self).pop("_below", None)

    def train(self, mode: bool = True) -> AgeGenderNet:
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
            self.sharing.eval()
        elif mode:
            self._rest()
        return self

    def _rest(self) -> None:
        """Layers in which a phase trains nothing do not change at all: no statistics, no dropout."""
        layers: list[list[nn.Module]] = [*self.backbone.layer_modules(), [self.sharing]]
        for modules in layers:
            parameters = [parameter for module in modules for parameter in module.parameters()]
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                for module in modules:
                    module.eval()
        rest_where_frozen(self)

    def forward(self, images_BCHW: Tensor) -> Outputs:
        return self._say(self._below(images_BCHW))

    def features(self, images_BCHW: Tensor) -> Tensor:
        """Images to what the heads read, (B, feature_width): where each task has its own, side by side."""
        return torch.cat(self._below(images_BCHW), dim=1)

    def read(self, features_BF: Tensor) -> Outputs:
        """What the heads say to `features`."""
        return self._say(features_BF.chunk(self.sharing.branches, dim=1))

    def _below(self, images_BCHW: Tensor) -> list[Tensor]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            branches: list[Tensor] = self.sharing(self.backbone, images_BCHW)
        return branches

    def _say(self, branches: Sequence[Tensor]) -> Outputs:
        """What the heads say, in float32 whatever the backbone computes in.

        bfloat16 holds 60 years to a quarter of a year.
        """
        with torch.autocast(branches[0].device.type, enabled=False):
            return Outputs(self.age_head(branches[0].float()), self.gender_head(branches[-1].float()))


def build_backbone(
    model: ModelOptions, image_size: int | None, attention: AttentionOptions | None = None
) -> Backbone:
    """The backbone that `model.name` names, with attention.

    Raises UserError for weights that it cannot have, and for attention or sharing that does not fit it.
    """
    backbone: Backbone = registry.build("model", model, image_size)
    if attention is not None:
        check_map(backbone.has_map, model, attention)  # some know it only once they are built
        put_attention(attention, backbone)
    return backbone


def build_network(
    backbone: Backbone, age_head: AgeHeadOptions, label_spec: LabelSpec, sharing: str = "hard"
) -> AgeGenderNet:
    """Heads drawn anew on top of a backbone, which the two tasks share as `sharing` says."""
    head = registry.build("age_head", age_head, backbone.num_features, label_spec)
    gender_head = GenderHead(backbone.num_features)
    return AgeGenderNet(backbone, head, gender_head, build_sharing(sharing, backbone))
