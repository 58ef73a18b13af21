"""What the steps of a run work with, built from its settings and its faces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from agegender.balancing.balancer import Balancer
from agegender.balancing.build import build_balancer
from agegender.config.schema import TrainConfig
from agegender.core import registry
from agegender.core.seeding import seed_torch, stream
from agegender.core.types import InputSpec
from agegender.data.batches import Batches, Share
from agegender.data.dataset import Dataset
from agegender.data.emphasis import Emphasis
from agegender.data.manifest import age_interval
from agegender.engine.device import make_fabric, resolve_precision
from agegender.engine.group_dro import GroupDRO
from agegender.engine.labels import check_age_range, gender_loss, label_spec
from agegender.engine.ranks import Ranks
from agegender.engine.remedies import build_emphasis
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
    group_dro: GroupDRO | None
    emphasis: Emphasis
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
        columns = (faces["sha256"], faces["part"], ages, faces["gender"], faces["group"])
        lines = [",".join(map(str, face)) for face in zip(*columns, strict=True)]
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
    emphasis = build_emphasis(config, dataset)
    batches = Batches(
        dataset.faces,
        dataset.samples,
        network.input_spec,
        config.trainer.batch_size,
        fabric.device,
        Share(ranks.rank, ranks.size, config.trainer.accumulate),
        emphasis,
    )
    if ranks.rank:  # every rank drops out other features
        seed_torch(int(stream(config.seed, "rank", ranks.rank).integers(2**32)))
    group_dro = None
    if config.loss.group_dro is not None:
        counts_TG, head = batches.label_counts(dataset.part("train")), network.age_head
        assert counts_TG is not None
        units_T = [head.label_spec.age_std**head.years_power, 1.0]
        group_dro = GroupDRO(config.loss.group_dro, units_T, emphasis.cells, counts_TG)
    return Parts(
        config,
        fabric,
        ranks,
        dataset,
        batches,
        network,
        balancer,
        group_dro,
        emphasis,
        uncertainty,
        precision,
    )
