"""A phase of training: what is trainable and which optimizer moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from agegender.config.schedule import PhaseOptions, ScheduleOptions
from agegender.models.network import AgeGenderNet

_OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
}


def enter_phase(
    network: AgeGenderNet,
    phase: PhaseOptions,
    schedule: ScheduleOptions,
) -> torch.optim.Optimizer:
    """Freeze and thaw what the phase asks for and make its optimizer; each phase starts a new one.

    Groups: `heads`, `backbone` (its topmost layer, or all of it), `backbone-1` and so on below it; what no
    weight decay applies to stands in a group of its own, `heads.plain`. `peak` is a group's highest rate.
    A balancer moves its own parameters.
    """
    network.set_trainable(phase.trainable)
    layers = [
        ("heads", network.heads(), phase.lr_heads or phase.lr),
        *_below_heads(network, phase.lr, schedule.layer_decay),
    ]
    groups = [
        group
        for name, parameters, rate in layers
        for group in _groups(name, parameters, rate, schedule.weight_decay)
    ]
    optimizer, settings = _OPTIMIZERS[schedule.optimizer]
    return optimizer(groups, fused=True, **settings)


def _below_heads(
    network: AgeGenderNet, rate: float, decay: float
) -> list[tuple[str, list[nn.Parameter], float]]:
    """Layers from the top down, each slower than the one above it by `decay`."""
    layers = network.layer_parameters()
    if decay == 1:
        return [("backbone", [parameter for layer in layers for parameter in layer], rate)]
    return [
        (f"backbone-{depth}" if depth else "backbone", parameters, rate * decay**depth)
        for depth, parameters in enumerate(reversed(layers))
    ]


def _groups(
    name: str, parameters: Iterable[nn.Parameter], rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Norms and biases have one dimension, and no weight decay."""
    parameters = list(parameters)
    split = {name: parameters}
    if weight_decay:
        split = {
            name: [parameter for parameter in parameters if parameter.ndim > 1],
            f"{name}.plain": [parameter for parameter in parameters if parameter.ndim <= 1],
        }
    return [
        {
            "name": part,
            "params": chosen,
            "lr": rate,
            "peak": rate,
            "weight_decay": 0.0 if part.endswith(".plain") else weight_decay,
        }
        for part, chosen in split.items()
        if chosen
    ]


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Every group's rate becomes this share of its highest."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def learning_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Learning rate of each parameter group, by its name."""
    return {group["name"]: group["lr"] for group in optimizer.param_groups}
