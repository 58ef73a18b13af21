"""Where a network looks: Grad-CAM of both heads (Selvaraju et al., ICCV 2017, arXiv:1610.02391)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from agegender.core.types import GENDERS
from agegender.models.attention.attention import Attention
from agegender.models.backbone import Backbone
from agegender.models.grid_head import mean_age
from agegender.models.network import AgeGenderNet, Outputs


@dataclass(frozen=True)
class Maps:
    """Of each face, as coarse as the network's last feature map."""

    age_BHW: Tensor
    """What raises the age; below 0, what lowers it."""
    gender_BHW: Tensor
    """What speaks for the gender that is answered; below 0, what speaks against it."""
    attention: dict[str, Tensor]
    """(B, H, W) by a name, of both tasks or one a task: how much each position counts, 1 being as much as
    without attention. Empty without attention that tells positions apart."""


def grad_cam(network: AgeGenderNet, images_BCHW: Tensor) -> Maps:
    """Maps of normalised images; the network is put into eval mode, and its parameters get no gradient.

    The paper keeps what speaks for a class alone. But ages fall as well as rise, and of two genders what
    speaks against one speaks for the other: here nothing is cut off, and gender counts as log-odds. The
    layer is `Backbone.explain_layer`, that of each task's own last stage.
    """
    network.eval()
    stages_T = network.sharing.last_stages(network.backbone)
    with torch.enable_grad(), _listening(stages_T) as heard:
        images_BCHW = images_BCHW.detach().requires_grad_()  # a frozen network has gradients by it alone
        outputs = network.read(torch.cat(network.sharing(network.backbone, images_BCHW), dim=1))
        age_B, gender_B = _scores(network, outputs)
        age_BHW = _class_map(age_B, heard[id(stages_T[0])])
        gender_BHW = _class_map(gender_B, heard[id(stages_T[1])])
    names = ["attention"] if stages_T[0] is stages_T[1] else ["age attention", "gender attention"]
    found = {name: heard.get(id(_attention(stage))) for name, stage in zip(names, stages_T, strict=False)}
    attention = {name: _as_maps(where) for name, where in found.items() if where is not None}
    return Maps(age_BHW, gender_BHW, attention)


def _scores(network: AgeGenderNet, outputs: Outputs) -> tuple[Tensor, Tensor]:
    """Years, and log-odds of the answered gender."""
    estimate, ages_A = network.age_head.decode(outputs.age_BK), network.age_head.ages_A
    years_B = estimate.years_B
    if estimate.posterior_BA is not None and ages_A is not None:
        years_B = mean_age(estimate.posterior_BA, ages_A)  # a median has no gradient
    female_B = outputs.gender_B2[:, GENDERS.index("female")] - outputs.gender_B2[:, GENDERS.index("male")]
    return years_B, female_B.abs()


def _class_map(score_B: Tensor, layer: Tensor) -> Tensor:
    """Channels weighed by the mean of their gradient, and summed."""
    (gradient,) = torch.autograd.grad(score_B.sum(), layer, retain_graph=True)
    layer_BHWC, gradient_BHWC = _positions(layer.detach()), _positions(gradient)
    return (gradient_BHWC.mean(dim=(1, 2), keepdim=True) * layer_BHWC).sum(dim=3)


def _positions(x: Tensor) -> Tensor:
    """A map (B, C, H, W), or tokens (B, N, C), as (B, H, W, C)."""
    return x.movedim(1, 3) if x.ndim == 4 else _grid(x)


def _as_maps(where: Tensor) -> Tensor:
    return where if where.ndim == 3 else _grid(where)


def _grid(tokens: Tensor) -> Tensor:
    """(B, N, ...) of square patches to (B, H, W, ...); what comes before the patches is no part of it."""
    side = math.isqrt(tokens.shape[1])
    grid: Tensor = tokens[:, tokens.shape[1] - side * side :].unflatten(1, (side, side))
    return grid


def _attention(stage: Backbone) -> nn.Module | None:
    """What attends last: the pool, or what stands behind the last stage."""
    last = stage.attention[-1] if len(stage.attention) else None
    return last if stage.pooling is None else stage.pooling


@contextmanager
def _listening(stages: list[Backbone]) -> Iterator[dict[int, Tensor]]:
    """By a backbone's id what its explained layer says, by an attention's id where it looks."""
    heard: dict[int, Tensor] = {}

    def hear(key: int, module: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ARG001
        heard[key] = output

    def ask(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, Attention) and (where := module.where(inputs[0])) is not None:
            heard[id(module)] = where.detach()

    hooks = []
    for stage in {id(stage): stage for stage in stages}.values():
        layer, attention = stage.get_submodule(stage.explain_layer), _attention(stage)
        hooks.append(layer.register_forward_hook(partial(hear, id(stage))))
        if attention is not None:
            hooks.append(attention.register_forward_pre_hook(ask))
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()
