"""One measurement of the engine in a process of its own; `benchmark.py` runs it.

python scripts/benchmark_engine.py WORK TARGET SETTING ...

`backbone` writes weights to the file TARGET. `prepare` writes into the folder TARGET what the naive loop
needs, and fills the cache. The others write what they measured to the file TARGET: `train` a run, `input` a
run whose every second epoch repeats its first batch, `balancer` a run whose every second step is balanced,
`precision` a run whose every second step is in bf16, `start` a command up to its first step, `profile` the
operators of a short run.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from unittest.mock import patch

import torch
from benchmark_measured import Measured, timed
from naive_loop import Recipe
from safetensors.torch import save_file
from torch import nn

from agegender.balancing.build import build_balancer
from agegender.balancing.fixed import Fixed
from agegender.cli.train import ENTRY
from agegender.config.compose import composing, to_plain, validate
from agegender.config.entry import run_entry
from agegender.config.schema import TrainConfig
from agegender.core.torchvision_shim import import_torchvision
from agegender.core.types import InputSpec
from agegender.data.batches import Batches
from agegender.data.dataset import Dataset
from agegender.engine.fit import Fit
from agegender.engine.parts import Parts, build_parts
from agegender.engine.predict import predict
from agegender.engine.progress import Display
from agegender.engine.read_faces import read_faces
from agegender.engine.run_directory import RunDirectory, running
from agegender.engine.step import Stepper
from agegender.models.network import AgeGenderNet

T = TypeVar("T")

MODULES = "modules.json"
"""Beside the result of `start`: what an earlier start had imported by its first step."""
PROFILED_STEPS, PROFILED_OPERATORS = 6, 8
FACES_SEEN = 32
"""For the statistics of a random backbone."""


class Stopwatch(Display):
    """Notes how long each step of each epoch takes."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.epochs_steps: list[list[float]] = []

    def track(self, items: Iterable[T], what: str, total: int, done: int = 0) -> Iterator[T]:
        shown = super().track(items, what, total, done)
        if not what.startswith("epoch"):
            yield from shown
            return
        self.epochs_steps.append([])
        yield from timed(shown, self.epochs_steps[-1])


def composed(settings: list[str]) -> TrainConfig:
    with composing("train") as composer:
        return validate(TrainConfig, to_plain(composer.compose(settings)))


def built(config: TrainConfig) -> Parts:
    def read(input_spec: InputSpec) -> Dataset:
        return read_faces(config.data, config.split, input_spec, None, Display(quiet=True))

    return build_parts(config, read)


def backbone(weights: Path, settings: list[str]) -> None:
    """Random weights with the BatchNorm statistics of some faces.

    With those of a new network, features grow from block to block until every answer is out of range.
    """
    parts = built(composed(settings))
    network, spec = parts.network.backbone, parts.network.input_spec
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    faces_BHWC = torch.from_numpy(parts.dataset.samples[parts.dataset.part("train")[:FACES_SEEN]])
    mean_C, std_C = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    with torch.no_grad():
        network.train()((faces_BHWC.permute(0, 3, 1, 2) / 255 - mean_C) / std_C)
    state = network.state_dict()
    save_file({name.removeprefix("net."): tensor.contiguous() for name, tensor in state.items()}, weights)


def prepare(folder: Path, settings: list[str]) -> None:
    """recipe.json, faces.csv and the seed's first weights under a notebook's names."""
    config = composed(settings)
    parts = built(config)
    (phase,) = config.schedule.phases.values()
    spec, labels = parts.network.input_spec, parts.network.age_head.label_spec
    is_scaled = bool(getattr(config.age_head, "rescale", False))
    recipe = Recipe(
        model=config.model.name,
        image_size=spec.size,
        mean=spec.mean,
        std=spec.std,
        dropout=tuple(getattr(config.model, "dropout", (0.0, 0.0))),
        age_mean=labels.age_mean if is_scaled else 0.0,
        age_std=labels.age_std if is_scaled else 1.0,
        augmented=not config.augment.is_off,
        batch_size=config.trainer.batch_size,
        epochs=phase.epochs,
        lr=phase.lr,
        gender_weight=config.loss.lambda_,
        heads_only=phase.trainable == "heads",
    )
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe)), encoding="utf-8")
    faces = parts.dataset.faces
    faces[["path", "age", "gender", "part"]].to_csv(folder / "faces.csv", index=False)
    weights = {
        name.replace("backbone.net.", "backbone.").replace("head.linear.", "head."): tensor.contiguous()
        for name, tensor in parts.network.state_dict().items()
    }
    save_file(weights, folder / f"weights-{config.seed}.safetensors")


def train(result: Path, settings: list[str]) -> None:
    """A run without its report, then the last epoch's answers to the val faces."""
    measured, parts = fitted(result, settings)
    rows = parts.dataset.part("val")
    table = predict(parts.network, parts.batches.in_order(rows), nullcontext(), parts.uncertainty).columns
    measured.val_age, measured.val_female = table["age_pred"].tolist(), table["gender_prob"].tolist()
    measured.write(result)


def constant_input(result: Path, settings: list[str]) -> None:
    """A run whose even epochs work on their first batch alone, which is on the device already."""
    make = Batches.shuffled

    def shuffled(*given: Any, **more: Any) -> Iterator[Any]:
        batches, rows, epoch = given[0], given[1], given[3]
        made = make(*given, **more)
        return made if epoch % 2 else repeat(next(made), batches.steps(rows))

    with patch.object(Batches, "shuffled", shuffled):
        measured, _ = fitted(result, settings)
    measured.write(result)


def balancer(result: Path, settings: list[str]) -> None:
    """A run whose first, third, fifth step of each epoch is taken under balancer=fixed."""
    steps, fixed_seconds, fixed_backward, reached = 0, 0.0, 0.0, {True: 0, False: 0}
    take, fixed = Stepper.take, build_balancer(Fixed.Options(name="fixed", diagnose_every=None), 0)

    def taken(stepper: Stepper, *given: Any) -> Any:
        nonlocal steps, fixed_seconds, fixed_backward
        chosen = copy.copy(stepper)
        if is_fixed():
            chosen._balancer, chosen._diagnose_every = fixed, None
        before, started = stepper._clock.seconds.get("backward", 0.0), time.perf_counter()
        outcome = take(chosen, *given)
        if is_fixed():
            fixed_seconds += time.perf_counter() - started
            fixed_backward += stepper._clock.seconds["backward"] - before
        steps += 1
        return outcome

    def is_fixed() -> bool:
        return steps % 2 == 0

    def forward(network: AgeGenderNet, images_BCHW: torch.Tensor) -> Any:
        features_BF = network.backbone(images_BCHW)
        if features_BF.requires_grad:
            features_BF.register_hook(count)
        return network.read(features_BF)

    def count(_gradient: torch.Tensor) -> None:
        reached[is_fixed()] += 1

    with patch.object(Stepper, "take", taken), patch.object(AgeGenderNet, "forward", forward):
        measured, _ = fitted(result, [*settings, "trainer.profile=true"])
    measured.backward_share = fixed_backward / fixed_seconds
    measured.backward_passes = reached[False] / (steps // 2)
    measured.write(result)


def precision(result: Path, settings: list[str]) -> None:
    """A run whose first, third, fifth step of each epoch is taken in bf16, the others as `auto` says."""
    steps, take = 0, Stepper.take

    def taken(stepper: Stepper, *given: Any) -> Any:
        nonlocal steps
        chosen = copy.copy(stepper)
        if steps % 2 == 0:
            chosen._autocast = partial(torch.autocast, "cpu", torch.bfloat16)
        steps += 1
        return take(chosen, *given)

    with patch.object(Stepper, "take", taken):
        measured, _ = fitted(result, settings)
    measured.write(result)


def fitted(
    result: Path, settings: list[str], watch: AbstractContextManager[object] | None = None
) -> tuple[Measured, Parts]:
    """The clock runs around Fit alone: validation, history and checkpoints are in, building is not."""
    config, display = composed(settings), Stopwatch()
    parts = built(config)
    seen = 0

    def count(_module: object, inputs: tuple[torch.Tensor, ...], _output: object) -> None:
        nonlocal seen
        seen += len(inputs[0])

    with tempfile.TemporaryDirectory(dir=result.parent) as folder:
        run = RunDirectory(Path(folder))
        with running(run):
            fit = Fit(parts, run, display)
            hook = parts.network.backbone.register_forward_hook(count)
            started = time.perf_counter()
            with watch or nullcontext():
                fit.fit()
            seconds = time.perf_counter() - started
            hook.remove()
    train_faces = len(parts.dataset.part("train"))
    faces = train_faces + len(parts.dataset.part("val"))
    is_gpu = parts.fabric.device.type == "cuda"
    return Measured(
        seconds=seconds,
        epochs_steps=display.epochs_steps,
        train_faces=train_faces,
        passes=seen / faces,
        peak_gpu_memory=torch.cuda.max_memory_allocated() if is_gpu else None,
    ), parts


def start(result: Path, settings: list[str]) -> NoReturn:
    """`agegender-train` until its first batch is there.

    The first start notes what was imported; later ones import that in front of the clock.
    """
    modules = result.with_name(MODULES)
    if modules.exists():
        import_torchvision()
        for name in json.loads(modules.read_text(encoding="utf-8")):
            with suppress(ImportError):  # some are made by others, not found by their name
                importlib.import_module(name)
    started = time.perf_counter()

    def track(_display: Display, items: Iterable[T], what: str, *_more: int) -> Iterator[T]:
        if not what.startswith("epoch"):
            yield from items
            return
        next(iter(items))
        Measured(seconds=time.perf_counter() - started, epochs_steps=[]).write(result)
        modules.write_text(json.dumps([name for name in sys.modules if name != "__main__"]), encoding="utf-8")
        os._exit(0)  # the rest of the run is not asked for

    with patch.object(Display, "track", track):
        code = run_entry(ENTRY, [*settings, f"hydra.run.dir='{result.with_suffix('')}'"])
    sys.exit(code or "the run ended before its first step")


def profile(result: Path, settings: list[str]) -> None:
    """The operators that take most of a short run's time: their names and shares."""
    profiler = torch.profiler.profile()
    fitted(result, [*settings, f"trainer.max_steps={PROFILED_STEPS}"], profiler)
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    largest = sorted(events, key=lambda event: -event.self_cpu_time_total)[:PROFILED_OPERATORS]
    shares = [(event.key, event.self_cpu_time_total / total) for event in largest]
    result.write_text(json.dumps(shares), encoding="utf-8")


WORKS = {
    "backbone": backbone,
    "prepare": prepare,
    "train": train,
    "input": constant_input,
    "start": start,
    "balancer": balancer,
    "precision": precision,
    "profile": profile,
}


def main() -> None:
    work, target, *settings = sys.argv[1:]
    WORKS[work](Path(target), settings)


if __name__ == "__main__":
    main()
