"""What `benchmark.py` measures: settings, sizes and what is wanted of each case."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agegender.core import registry

PRECISION = "trainer.precision=auto"
"""Of the engine; the naive loop computes in float32."""
CPU = ("trainer.accelerator=cpu", "schedule.patience=null", PRECISION)
MODEL2 = ("experiment=published/model2", *CPU)
"""No augmentation, as published."""
RESNET34 = ("experiment=published/model3", "model.weights=null", "age_head.rescale=true", *CPU)
"""Random weights: speed does not depend on them, and nothing must be downloaded. From age 0, as published,
so few steps would leave every answer at 0."""
HEADS = ("~schedule.phases.all",)
ALL = ("~schedule.phases.heads",)

Measure = Literal["epoch", "step", "input", "start", "balancer", "precision"]


@dataclass(frozen=True)
class Size:
    """How many faces a case takes, all parts together, and how many epochs."""

    faces: int
    epochs: int = 1


@dataclass(frozen=True)
class Case:
    name: str
    what: str
    measure: Measure
    """epoch or step: the naive loop's seconds / ours; input: a step with faces / one with a constant tensor;
    start: seconds; balancer: a step under it / one under balancer=fixed; precision: a step under auto / one
    in bf16."""
    settings: tuple[str, ...]
    short: Size
    full: Size
    target: float | None
    most_passes: float | None = None
    """Allowed forward passes of the backbone over the faces, all epochs together."""
    needs_gpu: bool = False

    @property
    def is_pair(self) -> bool:
        return self.measure in ("epoch", "step")

    @property
    def bound(self) -> str:
        return "at least" if self.is_pair else "at most"

    @property
    def phase(self) -> str:
        return "heads" if HEADS[0] in self.settings else "all"

    @property
    def model(self) -> str:
        if RESNET34[0] in self.settings:
            return "resnet34"
        named = [line.removeprefix("model=") for line in self.settings if line.startswith("model=")]
        return named[0] if named else "scratch_cnn_v2"

    @property
    def work(self) -> str:
        """What an image costs the engine: a frozen backbone sees no backward pass."""
        return "training" if self.phase == "all" else "forward"

    def chosen(self, size: Size) -> list[str]:
        """All settings of a run of this size."""
        return [
            *self.settings,
            *data_settings(size.faces),
            f"schedule.phases.{self.phase}.epochs={size.epochs}",
        ]


def data_settings(faces: int) -> list[str]:
    """UTKFace below AGEGENDER_DATA, else embedded faces."""
    folder = real_faces()
    if folder is None:
        return ["data=synthetic", f"data.n={faces}"]
    return ["data=utkface", f"data.root='{folder}'", f"data.limit={faces}"]


def real_faces() -> Path | None:
    above = os.environ.get("AGEGENDER_DATA")
    return Path(above).expanduser().absolute() / "UTKFace" if above else None


BALANCER_TARGETS = {"dwa": 1.02, "uncertainty": 1.02, "gradnorm": 1.15, "pcgrad": 1.6}


def balancer_case(balancer: str, *settings: str, name: str = "") -> Case:
    """Model 2, 128 px, batch 32: a step under a balancer, tasks not looked at, / one under `fixed`."""
    return Case(
        name=f"balancer_{name or balancer}",
        what=" ".join((f"Model 2, 128 px, batch 32: a step under balancer={balancer}", *settings)),
        measure="balancer",
        settings=(*MODEL2, f"balancer={balancer}", "balancer.diagnose_every=null", *settings),
        short=Size(560),
        full=Size(1200),
        target=BALANCER_TARGETS.get(balancer),
    )


def precision_case(model: str) -> Case:
    """A network of depthwise convolutions, which trainer.precision=auto leaves in float32 on a CPU."""
    settings = (f"model={model}", "model.weights=null", "data.image_size=224", "split=random")
    return Case(
        name=f"precision_{model}",
        what=f"{model}, 224 px, batch 32: a step under trainer.precision=auto / one in bf16",
        measure="precision",
        settings=(*settings, "balancer.diagnose_every=null", *CPU),
        short=Size(480),
        full=Size(960),
        target=1.0,
    )


CASES = (
    Case(
        name="model2_epoch",
        what="Model 2, 128 px, batch 32, whole epoch with validation, decoded faces in the cache",
        measure="epoch",
        settings=MODEL2,
        short=Size(800, epochs=2),
        full=Size(4000, epochs=5),
        target=2.0,
    ),
    Case(
        name="resnet34_phase2",
        what="ResNet34, 224 px, batch 16, everything trained, published augmentation, a step",
        measure="step",
        settings=(*RESNET34, *ALL),
        short=Size(160),
        full=Size(480),
        target=2.0,
    ),
    Case(
        name="resnet34_phase1_plain",
        what="ResNet34, frozen backbone, no augmentation, an epoch with validation out of five",
        measure="epoch",
        settings=(*RESNET34, *HEADS, "augment=none"),
        short=Size(80, epochs=5),
        full=Size(320, epochs=5),
        target=6.0,
        most_passes=1.3,
    ),
    Case(
        name="resnet34_phase1_augmented",
        what="ResNet34, frozen backbone, published augmentation, an epoch with validation",
        measure="epoch",
        settings=(*RESNET34, *HEADS),
        short=Size(120),
        full=Size(320, epochs=2),
        target=3.0,
    ),
    Case(
        name="input_overhead",
        what="ResNet34, 224 px, batch 16, published augmentation: a step with faces / with a constant tensor",
        measure="input",
        settings=(*RESNET34, *ALL),
        short=Size(120),
        full=Size(240),
        target=1.05,
    ),
    Case(
        name="input_overhead_model2",
        what="Model 2, 128 px, batch 32: a step with faces / with a constant tensor",
        measure="input",
        settings=MODEL2,
        short=Size(800),
        full=Size(1600),
        target=1.05,
    ),
    Case(
        name="warm_start",
        what="Model 2, from the command to the first step, beyond imports, with the same faces as before",
        measure="start",
        settings=("model=scratch_cnn_v2", "data.image_size=128", *CPU),
        short=Size(1000),
        full=Size(18_885),
        target=1.0,
    ),
    Case(
        name="resnet34_gpu",
        what="ResNet34, 224 px, batch 256, bf16 on a GPU: a step with faces / with a constant tensor",
        measure="input",
        settings=(
            *RESNET34, *ALL, "trainer.accelerator=cuda", "trainer.precision=bf16", "trainer.batch_size=256",
        ),
        short=Size(6400),
        full=Size(16_000),
        target=None,
        needs_gpu=True,
    ),
    precision_case("mobilenet_v3_small"),
    precision_case("efficientnet_lite0"),
    balancer_case("fixed", "balancer.diagnose_every=1", name="looked_at"),
    *(balancer_case(name) for name in registry.names("balancer") if name != "fixed"),
)  # fmt: skip
