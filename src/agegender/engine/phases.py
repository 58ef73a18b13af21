"""A phase of training: what is trainable and which optimizer moves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from agegender.config.schema import PhaseOptions, ScheduleOptions
from agegender.models.network import AgeGenderNet

_OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
}


def enter_phase(
    network: AgeGenderNet,
    balancer: torch.nn.Module,
    phase: PhaseOptions,
    schedule: ScheduleOptions,
) -> torch.optim.Optimizer:
    """Freeze or thaw the backbone and make the phase's optimizer; each phase starts a new one."""
    network.freeze_backbone(phase.trainable == "heads")
    groups = [{"name": "heads", "params": network.heads(), "lr": phase.lr_heads or phase.lr}]
    if phase.trainable == "all":
        groups.append({"name": "backbone", "params": list(network.backbone.parameters()), "lr": phase.lr})
    own = list(balancer.parameters())
    if own:
        groups.append({"name": "balancer", "params": own, "lr": phase.lr})
    optimizer, settings = _OPTIMIZERS[schedule.optimizer]
    return optimizer(groups, weight_decay=schedule.weight_decay, **settings)


def learning_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Learning rate of each parameter group, by its name."""
    return {group["name"]: group["lr"] for group in optimizer.param_groups}
