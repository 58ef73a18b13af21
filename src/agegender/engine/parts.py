"""What the steps of a run work with, built from its settings and its faces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric

from agegender.balancing.balancer import Balancer
from agegender.balancing.build import build_balancer
from agegender.config.schema import TrainConfig
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.seeding import seed_torch, stream
from agegender.core.types import LabelSpec
from agegender.data.batches import Batches, Share
from agegender.data.dataset import Dataset
from agegender.data.manifest import age_target
from agegender.engine.device import make_fabric, resolve_precision
from agegender.engine.ranks import Ranks
from agegender.models.network import AgeGenderNet, build_backbone, build_network

_NEEDS = {
    "harmonic_mean": ("age", "gender"),
    "age_rmse": ("age",),
    "gender_f1": ("gender",),
}


@dataclass(frozen=True)
class Parts:
    """Settings, device, faces and networks of a run."""

    config: TrainConfig
    fabric: Fabric
    ranks: Ranks
    dataset: Dataset
    batches: Batches
    network: AgeGenderNet
    balancer: Balancer
    precision: int | str
    """32, bf16 or 16: what trainer.precision=auto came to."""

    def data_sha256(self) -> dict[str, str]:
        """What tells whether these are the faces of a checkpoint: their parts, and their order and labels."""
        faces = self.dataset.faces
        columns = (faces["sha256"], faces["part"], age_target(faces), faces["gender"])
        lines = [
            f"{sha256},{part},{age},{gender}" for sha256, part, age, gender in zip(*columns, strict=True)
        ]
        return {
            "split_sha256": self.dataset.split_sha256,
            "faces_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        }


def build_parts(config: TrainConfig, read: Callable[[int], Dataset]) -> Parts:
    """Build everything; `read` gives the faces at a side in pixels.

    The weights are drawn from the seed. Raises UserError for what is wrong before training.
    """
    trainer = config.trainer
    precision = resolve_precision(trainer.accelerator, trainer.precision)
    fabric = make_fabric(trainer.accelerator, precision, trainer.devices, trainer.num_nodes)
    ranks = Ranks(fabric)
    balancer = build_balancer(config.balancer, config.seed)
    seed_torch(config.seed)
    backbone = build_backbone(config.model, config.data.image_size, config.attention)
    with ranks.first_first():  # the others find the faces in the cache
        dataset = read(backbone.input_spec.size)
    network = build_network(backbone, config.age_head, _label_spec(config, dataset), config.model.sharing)
    for phase in config.schedule.phases.values():
        network.trainable_names(phase.trainable)  # whether its patterns fit is better known before training
    network = network.to(fabric.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if ranks.size > 1 and fabric.device.type == "cuda":
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)
    batches = Batches(
        dataset.faces,
        dataset.samples,
        network.input_spec,
        config.trainer.batch_size,
        fabric.device,
        Share(ranks.rank, ranks.size, config.trainer.accumulate),
    )
    if ranks.rank:  # every rank drops out other features
        seed_torch(int(stream(config.seed, "rank", ranks.rank).integers(2**32)))
    return Parts(config, fabric, ranks, dataset, batches, network, balancer, precision)


def _label_spec(config: TrainConfig, dataset: Dataset) -> LabelSpec:
    """What the labels are; raises UserError when train or val lacks labels that training needs."""
    ages = age_target(dataset.faces).to_numpy(float)
    has = {"age": ~np.isnan(ages), "gender": dataset.faces["gender"].notna().to_numpy()}
    for task in _NEEDS[config.trainer.monitor]:
        for part in ("train", "val"):
            if not has[task][dataset.part(part)].any():
                others = [name for name, tasks in _NEEDS.items() if task not in tasks]
                raise UserError(
                    f"trainer.monitor={config.trainer.monitor}: no face of the {part} part has a label for "
                    f"{task}; label some, or watch {' or '.join(others)}"
                )
    for task in registry.find("balancer", config.balancer.name).trained:
        if not has[task][dataset.part("train")].any():
            raise UserError(
                f"balancer={config.balancer.name}: no face of the train part has a label for {task}; label "
                "some, or train on what there is with balancer=fixed"
            )
    genders = train_genders(dataset)
    if len(genders) == 1 and config.loss.lambda_ > 0:
        raise UserError(
            f"one gender only: every labelled face of the train part is {genders[0]}, so gender cannot be "
            "learned; add faces of the other, or train age alone with loss.lambda=0"
        )
    known = ages[dataset.part("train")]
    known = known[~np.isnan(known)]
    return LabelSpec(
        age_min=config.data.age_min,
        age_max=config.data.age_max,
        age_mean=float(known.mean()) if len(known) else 0.0,
        age_std=max(float(known.std()), 1.0) if len(known) else 1.0,
    )


def train_genders(dataset: Dataset) -> list[str]:
    """The genders that occur in the train part."""
    return sorted(dataset.faces.loc[dataset.part("train"), "gender"].dropna().unique())
