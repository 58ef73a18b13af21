"""A run's network built without memory or weights, for mistakes that only a network shows."""

from __future__ import annotations

import torch

from agegender.config.schedule import TRAINABLE
from agegender.config.schema import TrainConfig
from agegender.core.types import LabelSpec
from agegender.models.network import build_backbone, build_network

_fitting: set[str] = set()
"""Settings of networks that were found to fit: most jobs of a sweep share theirs."""


def check_network(config: TrainConfig) -> None:
    """Raises UserError for attention, sharing or an image size that does not fit the backbone.

    Also for a phase's pattern that fits no parameter.
    """
    patterns = [
        phase.trainable for phase in config.schedule.phases.values() if phase.trainable not in TRAINABLE
    ]
    model = config.model.model_copy(update={"weights": None})
    size, ages = config.data.image_size, (config.data.age_min, config.data.age_max)
    parts = (model, config.attention, config.age_head)
    key = repr((*(part.to_dict() for part in parts), size, ages, patterns))
    if key in _fitting:
        return
    with torch.device("meta"):
        backbone = build_backbone(model, size, config.attention)
    labels = LabelSpec(*ages, age_mean=0.0, age_std=1.0)
    with torch.random.fork_rng(devices=[]):  # whoever calls goes on as if there had been none
        network = build_network(backbone, config.age_head, labels, model.sharing)
    for each in patterns:
        network.trainable_names(each)
    _fitting.add(key)
