"""What the steps of a run work with, built from its settings and its faces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from agegender.balancing.balancer import Balancer
from agegender.balancing.build import build_balancer
from agegender.config.schedule import TRAINABLE
from agegender.config.schema import TrainConfig
from agegender.core import registry
from agegender.core.seeding import seed_torch, stream
from agegender.core.types import InputSpec, LabelSpec
from agegender.data.batches import Batches, Share
from agegender.data.dataset import Dataset
from agegender.data.manifest import age_interval
from agegender.engine.device import make_fabric, resolve_precision
from agegender.engine.labels import check_age_range, gender_loss, label_spec
from agegender.engine.ranks import Ranks
from agegender.models.backbone import Backbone
from agegender.models.network import AgeGenderNet, build_backbone, build_network
from agegender.models.uncertainty.uncertainty import Uncertainty


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
    uncertainty: Uncertainty
    precision: int | str
    """32, bf16 or 16: what trainer.precision=auto came to."""

    def data_sha256(self) -> dict[str, str]:
        """What tells whether these are the faces of a checkpoint: their parts, and their order and labels."""
        faces = self.dataset.faces
        ages = [
            f"{low}..{high}" if low < high else f"{low}"
            for low, high in age_interval(faces).to_numpy().tolist()
        ]
        columns = (faces["sha256"], faces["part"], ages, faces["gender"])
        lines = [
            f"{sha256},{part},{age},{gender}" for sha256, part, age, gender in zip(*columns, strict=True)
        ]
        return {
            "split_sha256": self.dataset.split_sha256,
            "faces_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        }


def build_parts(config: TrainConfig, read: Callable[[InputSpec], Dataset]) -> Parts:
    """Build everything; `read` gives the faces as the backbone wants them.

    The weights are drawn from the seed. Raises UserError for what is wrong before training.
    """
    trainer = config.trainer
    balancer = build_balancer(config.balancer, config.seed)
    seed_torch(config.seed)
    backbone = build_backbone(config.model, config.data.image_size, config.attention)
    precision = resolve_precision(trainer.accelerator, trainer.precision, backbone)
    fabric = make_fabric(trainer.accelerator, precision, trainer.devices, trainer.num_nodes)
    ranks = Ranks(fabric)
    _check_phases(config, backbone)
    uncertainty: Uncertainty = registry.build("uncertainty", config.uncertainty)
    uncertainty.check(backbone)
    with ranks.first_first():  # the others find the faces in the cache
        dataset = read(backbone.input_spec)
    network = build_network(backbone, config.age_head, label_spec(config, dataset), config.model.sharing)
    check_age_range(network.age_head, config, dataset)
    network.gender_head.criterion = gender_loss(config.loss, dataset)
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
    return Parts(config, fabric, ranks, dataset, batches, network, balancer, uncertainty, precision)


def _check_phases(config: TrainConfig, backbone: Backbone) -> None:
    """Raises UserError for a phase's pattern that fits no parameter, before any face is read."""
    patterns = [
        phase.trainable for phase in config.schedule.phases.values() if phase.trainable not in TRAINABLE
    ]
    if not patterns:
        return
    labels = LabelSpec(config.data.age_min, config.data.age_max, age_mean=0.0, age_std=1.0)
    with torch.random.fork_rng(devices=[]):  # the real one is drawn as if there had been none
        network = build_network(backbone, config.age_head, labels, config.model.sharing)
    for each in patterns:
        network.trainable_names(each)
