"""One training run, from settings to a predictions table."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch

from agegender.config.schema import TrainConfig
from agegender.core.types import InputSpec
from agegender.data.dataset import Dataset
from agegender.engine.checkpoint import BEST, load_best
from agegender.engine.explanation import may_show, write_explanation
from agegender.engine.fit import Fit
from agegender.engine.labels import train_genders
from agegender.engine.parts import Parts, build_parts
from agegender.engine.predict import predict, predictions_table, write_predicted
from agegender.engine.progress import Display
from agegender.engine.read_faces import read_faces
from agegender.engine.run_directory import RunDirectory
from agegender.engine.step import loss_scales
from agegender.engine.watch import Watch, unwatched
from agegender.engine.worst import write_worst
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.predicted import Predicted

_PRECISION: dict[int | str, str] = {32: "float32", "bf16": "bf16", 16: "float16"}


def train(config: TrainConfig, run: RunDirectory, display: Display, watch: Watch = unwatched) -> None:
    """Train, keep the best epoch, predict the val, cal and test parts with it.

    Writes every file of the run directory but the report. Raises UserError for what is wrong before
    training, RunError for what goes wrong in it.
    """
    run.write_config(config.to_dict())

    def read(input_spec: InputSpec) -> Dataset:
        dataset = read_faces(config.data, config.split, input_spec, run, display)
        if run.is_writer:
            dataset.write(run.path)
        return dataset

    parts = build_parts(config, read)
    _introduce(parts, display)
    finish(Fit(parts, run, display, watch))


def finish(fit: Fit) -> None:
    """Train to the end, then predict with the best epoch, and show where it looks."""
    parts, run = fit.parts, fit.run
    fit.fit()
    _predict(parts, run)
    if run.is_writer and may_show(parts.config.data.name, parts.config.report):
        write_explanation(run.path, parts.network, parts.dataset.faces, parts.dataset.samples)


def _introduce(parts: Parts, display: Display) -> None:
    config, dataset, network = parts.config, parts.dataset, parts.network
    counts = dataset.faces["part"].value_counts()
    shares = ", ".join(f"{part} {counts[part]}" for part in ("train", "val", "cal", "test") if part in counts)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    display.say(
        f"{_described(config)}, {parameters / 1e6:.2f} M parameters, {network.input_spec.size} px, on "
        f"{parts.fabric.device} in {_PRECISION[parts.precision]}; {config.data.name}: "
        f"{len(dataset.faces)} faces ({shares}), {len(dataset.rejected)} rejected"
    )
    if network.backbone.loaded is not None:
        display.say(str(network.backbone.loaded))
        if (warning := network.backbone.loaded.warning()) is not None:
            display.warn(warning)
    name, first = next(iter(config.schedule.phases.items()))
    if first.trainable != "all" and config.model.weights is None:
        words = first.trainable if isinstance(first.trainable, str) else " and ".join(first.trainable)
        display.warn(f"phase {name!r} trains {words} on frozen random weights (model.weights=null)")
    if parts.balancer.is_blind_to_lambda:
        display.warn(
            f"balancer={config.balancer.name} does not heed loss.lambda: it undoes whatever weight a task has"
        )
    else:
        _weigh(parts, display)
    if parts.ranks.size > 1 and _norms_per_rank(network):
        display.warn(
            f"batch normalisation on {parts.ranks.size} CPU ranks: the statistics are each rank's own"
        )
    for note in parts.emphasis.notes:
        display.say(note)
    if len(train_genders(dataset)) == 1:
        display.warn("one gender only in train: the gender head stays untrained (loss.lambda=0)")


def _weigh(parts: Parts, display: Display) -> None:
    """Warn of a lambda that drowns the age loss: 50 is an eighth of UTKFace's variance in years squared."""
    config, network, head = parts.config, parts.network, parts.network.age_head
    ages = torch.tensor(head.label_spec.age_quantiles, device=parts.fabric.device)
    if not len(ages):
        return
    with torch.no_grad():  # no features: what a constant predictor has
        raw_BK = head(torch.zeros(len(ages), network.backbone.num_features, device=ages.device))
        age_loss = float(head.loss(raw_BK, ages[:, None].expand(-1, 2)))
    alike = age_loss * loss_scales(config.loss, head)[0] / 8
    if config.loss.lambda_ > 10 * alike:
        display.warn(
            f"loss.lambda={config.loss.lambda_:g} leaves age little say: the loss of "
            f"age_head={config.age_head.name} begins near {8 * alike:.2g}; {alike:.2g} weighs gender as 50 "
            "does beside years squared (docs/heads.md)"
        )


def _described(config: TrainConfig) -> str:
    """The model, with its attention and sharing where they are not the plain ones."""
    name, attention, sharing = config.model.name, config.attention.name, config.model.sharing
    with_attention = "" if attention == "none" else f" with {attention}"
    return name + with_attention + ("" if sharing == "hard" else f", sharing {sharing}")


def _norms_per_rank(network: torch.nn.Module) -> bool:
    """Whether some layer takes its statistics from what this rank alone sees."""
    norms = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)
    return any(isinstance(module, norms) for module in network.modules())


def _predict(parts: Parts, run: RunDirectory) -> None:
    """In full precision, as agegender-evaluate and agegender-predict do, whatever training used.

    Each rank takes a share of the faces.
    """
    dataset, network, ranks = parts.dataset, parts.network, parts.ranks
    network.uncompile_features()
    best = load_best(run.path / BEST).state if ranks.is_first else {}
    network.load_state_dict(ranks.broadcast(best))
    rows = np.concatenate([dataset.part(part) for part in ("val", "cal", "test")])
    mine = predict(network, parts.batches.in_order(rows), nullcontext(), parts.uncertainty)
    predicted = Predicted.join(ranks.gather(mine))
    if run.is_writer:
        table = predictions_table(dataset.faces.iloc[rows], predicted)
        calibration = Calibration.fit(table[table["split"] == "cal"], parts.config.uncertainty)
        write_predicted(run.path, table, predicted.posterior, calibration)
        if may_show(parts.config.data.name, parts.config.report):
            write_worst(run.path, dataset.samples, rows, table)
