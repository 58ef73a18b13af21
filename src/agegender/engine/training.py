"""One training run, from settings to a predictions table."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
from lightning_fabric import Fabric

from agegender.balancing.balancer import Balancer
from agegender.config.schema import TrainConfig
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.seeding import seed_torch
from agegender.core.types import LabelSpec
from agegender.data.batches import Batches
from agegender.data.dataset import Dataset
from agegender.data.manifest import age_target
from agegender.engine.checkpoint import BEST, load_best
from agegender.engine.device import make_fabric
from agegender.engine.fit import Fit
from agegender.engine.predict import predict, predictions_table
from agegender.engine.progress import Display
from agegender.engine.read_faces import read_faces
from agegender.engine.run_directory import RunDirectory
from agegender.evaluation.table import write_predictions
from agegender.models.network import AgeGenderNet, build_backbone, build_network

_NEEDS = {
    "harmonic_mean": ("age", "gender"),
    "age_rmse": ("age",),
    "gender_f1": ("gender",),
}


def train(config: TrainConfig, run: RunDirectory, display: Display) -> None:
    """Train, keep the best epoch, predict the val, cal and test parts with it.

    Writes every file of the run directory but the report. Raises UserError for what is wrong before
    training, RunError for what goes wrong in it.
    """
    run.write_config(config.to_dict())
    fabric = make_fabric(config.trainer.accelerator, config.trainer.precision)
    seed_torch(config.seed)
    backbone = build_backbone(config.model, config.data.image_size)
    dataset = read_faces(config.data, config.split, backbone.input_spec.size, run, display)
    dataset.write(run.path)
    label_spec = _label_spec(config, dataset)
    network = build_network(backbone, config.age_head, label_spec).to(fabric.device)
    balancer: Balancer = registry.build("balancer", config.balancer).to(fabric.device)
    batches = Batches(
        dataset.faces,
        dataset.samples,
        network.input_spec,
        config.trainer.batch_size,
        fabric.device,
    )
    _introduce(config, dataset, network, fabric, display)
    Fit(config, dataset, batches, network, balancer, fabric, run, display).fit()
    _predict(dataset, batches, network, run)


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
    genders = _train_genders(dataset)
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


def _train_genders(dataset: Dataset) -> list[str]:
    """The genders that occur in the train part."""
    return sorted(dataset.faces.loc[dataset.part("train"), "gender"].dropna().unique())


def _introduce(
    config: TrainConfig, dataset: Dataset, network: AgeGenderNet, fabric: Fabric, display: Display
) -> None:
    counts = dataset.faces["part"].value_counts()
    parts = ", ".join(f"{part} {counts[part]}" for part in ("train", "val", "cal", "test") if part in counts)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    display.say(
        f"{config.model.name}, {parameters / 1e6:.2f} M parameters, {network.input_spec.size} px, on "
        f"{fabric.device}; {config.data.name}: {len(dataset.faces)} faces ({parts}), "
        f"{len(dataset.rejected)} rejected"
    )
    frozen = [name for name, phase in config.schedule.phases.items() if phase.trainable == "heads"]
    if frozen and config.model.weights is None:
        display.warn(
            f"phase {frozen[0]!r} trains heads on a frozen backbone of random weights (model.weights=null)"
        )
    if len(_train_genders(dataset)) == 1:
        display.warn("one gender only in train: the gender head stays untrained (loss.lambda=0)")


def _predict(dataset: Dataset, batches: Batches, network: AgeGenderNet, run: RunDirectory) -> None:
    """In full precision, as agegender-evaluate and agegender-predict do, whatever training used."""
    network.load_state_dict(load_best(run.path / BEST).state)
    rows = np.concatenate([dataset.part(part) for part in ("val", "cal", "test")])
    predicted = predict(network, batches.in_order(rows), nullcontext())
    write_predictions(predictions_table(dataset.faces.iloc[rows], predicted), run.path / "predictions.csv")
