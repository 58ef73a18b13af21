"""What the registered backbones are and cost, without their weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agegender.config.options import ModelOptions
from agegender.core import registry
from agegender.models.backbone import Backbone
from agegender.models.hub import NeedsTimm
from agegender.models.macs import count_macs


@dataclass(frozen=True)
class Facts:
    """A backbone at the input size of its weights."""

    parameters: int
    macs: int
    input_size: int
    """Side in pixels."""
    features: int
    imagenet: str
    """Whether the weights that `imagenet` means are on this machine: here, not here, or none where there are
    none."""
    library: str


def describe(model: ModelOptions) -> Facts | None:
    """The facts of a backbone, which takes no memory; None where its library is not installed."""
    try:
        with torch.device("meta"):
            backbone: Backbone = registry.build("model", model.model_copy(update={"weights": None}))
    except NeedsTimm:
        return None
    at_hand = backbone.has_weights_at_hand()
    return Facts(
        sum(parameter.numel() for parameter in backbone.parameters()),
        count_macs(backbone),
        backbone.input_spec.size,
        backbone.num_features,
        {None: "none", True: "here", False: "not here"}[at_hand],
        backbone.library,
    )
