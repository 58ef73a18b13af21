"""Whatever is registered: a run that was interrupted within an epoch and taken up ends in the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from agegender.core import registry
from agegender.engine.fit import Fit
from agegender.models.sharing.build import SHARINGS

from ..training import assert_same_run, composed, go_on, stopped_at, train_in

TINY = ("data.n=60", "data.image_size=16", "trainer.batch_size=12", "augment=strong")
"""42 training faces: four steps an epoch."""
SLOW = (
    "model.weights=null", "data.n=40", "data.image_size=32", "trainer.max_steps=2", "schedule.optimizer=sgd",
    "schedule.phases.all.lr=1e-7",
)  # fmt: skip
"""Settings of networks that take long; two steps, cut within the only epoch, and small checkpoints."""
OWN = {
    "dinov2_s": ("data.image_size=28",),
    "timm": ("model.backbone=test_resnet",),
    "vit_b_16": ("schedule.phases.all.trainable=last_stage",),  # 350 MB of weights
}
KINDS = ("model", "age_head", "balancer", "attention")
COMPONENTS = [
    *((kind, name) for kind in KINDS for name in registry.names(kind)),
    *(("model.sharing", name) for name in SHARINGS),
]


def test_how_many_components_there_are() -> None:
    counts = [sum(kind == each for each, _ in COMPONENTS) for kind in (*KINDS, "model.sharing")]
    assert counts == [14, 8, 18, 5, 3]


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_interrupted_is_uninterrupted(kind: str, name: str, tmp_path: Path) -> None:
    plain = "scratch_cnn" if kind in ("attention", "model.sharing") else "scratch_cnn_v2"
    network = f"model={name}" if kind == "model" else f"model={plain}"
    chosen = [network] if kind == "model" else [network, f"{kind}={name}"]
    if kind == "balancer":  # all that it must get along with
        chosen += [
            "schedule.ema=0.9",
            "schedule.clip_norm=5",
            "trainer.accumulate=2",
            "balancer.diagnose_every=2",
        ]
    is_slow = kind == "model" and not name.startswith("scratch")
    config = composed(*TINY, "trainer.max_steps=6", *chosen, *(SLOW if is_slow else ()), *OWN.get(name, ()))
    step = 1 if is_slow else 5  # the second step of an epoch that trainer.max_steps cuts after it
    train_in(tmp_path / "whole", config)
    with stopped_at(step):
        train_in(tmp_path / "cut", config)
    last = torch.load(tmp_path / "cut" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["position"]["step"] == step
    assert last["position"]["epoch_step"] == 1
    torch.manual_seed(99)  # whatever the process drew in between
    go_on(tmp_path / "cut", config)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


TWO_PHASES = (
    *TINY,
    "model=scratch_cnn_v2",
    "schedule=two_phase",
    "schedule.phases.heads.epochs=2",
    "schedule.phases.heads.lr=0.01",
    "schedule.phases.all.epochs=2",
    "schedule.phases.all.lr=0.01",
)


@pytest.fixture(scope="module")
def two_phases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of two phases, two epochs of four steps each."""
    path = tmp_path_factory.mktemp("two") / "whole"
    train_in(path, composed(*TWO_PHASES))
    return path


@pytest.mark.parametrize("step", [3, 8, 14])
def test_within_either_phase_and_between_them(step: int, two_phases: Path, tmp_path: Path) -> None:
    config = composed(*TWO_PHASES)
    with stopped_at(step):
        train_in(tmp_path / "cut", config)
    go_on(tmp_path / "cut", config)
    assert_same_run(two_phases, tmp_path / "cut")


def test_interrupted_after_every_step(two_phases: Path, tmp_path: Path) -> None:
    config = composed(*TWO_PHASES)
    with stopped_at(1):
        train_in(tmp_path / "cut", config)
    for step in range(2, 17):
        with stopped_at(step):
            go_on(tmp_path / "cut", config)
    go_on(tmp_path / "cut", config)
    assert_same_run(two_phases, tmp_path / "cut")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer(optimizer: str, tmp_path: Path) -> None:
    rates = ("schedule.phases.all.lr=1e-5", "schedule.phases.all.lr_heads=1e-4", "trainer.monitor=age_rmse")
    config = composed(*TINY, *rates, f"schedule.optimizer={optimizer}", "schedule.phases.all.epochs=2")
    train_in(tmp_path / "whole", config)
    with stopped_at(6):
        train_in(tmp_path / "cut", config)
    go_on(tmp_path / "cut", config)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize(
    "lines",
    [
        ("schedule.ema=0.9", "schedule.rate=cosine", "schedule.warmup_epochs=1"),
        ("schedule.rate=one_cycle", "trainer.accumulate=3", "schedule.clip_norm=1.0"),
        ("schedule.rate=plateau", "schedule.plateau_patience=1", "schedule.layer_decay=0.5"),
        ("augment=none", "data.cache=none", "schedule=two_phase", "schedule.phases.heads.epochs=1"),
        ("augment=none", "schedule.phases.all.trainable=heads", "schedule.ema=0.5"),
        ("augment=none", "trainer.sampling=age", "schedule.phases.all.trainable=heads"),
        ("loss.group_dro=0.1", "loss.age_weights=inverse", "trainer.sampling=group", "trainer.accumulate=2"),
    ],
    ids=" ".join,
)
def test_every_way_to_step(lines: tuple[str, ...], tmp_path: Path) -> None:
    config = composed(*TINY, "model=scratch_cnn_v2", *lines, "schedule.phases.all.epochs=3")
    train_in(tmp_path / "whole", config)
    for number, step in enumerate((2, 6, 8, 11)):
        with stopped_at(step):
            go_on(tmp_path / "cut", config) if number else train_in(tmp_path / "cut", config)
    go_on(tmp_path / "cut", config)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


FIGURES = {4: 0.5, 6: 0.9, 8: 0.3, 12: 0.2, 16: 0.4}
"""val_harmonic_mean by step: the best of the whole epochs is the first, and step 6 is in the second."""


@pytest.fixture
def _told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watched figure is what FIGURES says."""
    make = Fit._row
    monkeypatch.setattr(
        Fit, "_row", lambda *args: {**(row := make(*args)), "val_harmonic_mean": FIGURES[row["step"]]}
    )


@pytest.mark.usefixtures("_told")
@pytest.mark.parametrize("step", [3, 4, 5, 9, 13])
def test_the_best_epoch_and_early_stopping_are_the_same(step: int, tmp_path: Path) -> None:
    patience = ("schedule.phases.all.epochs=9", "schedule.patience=3")
    config = composed(*TINY, "model=scratch_cnn_v2", *patience)
    train_in(tmp_path / "whole", config)
    with stopped_at(step):
        train_in(tmp_path / "cut", config)
    go_on(tmp_path / "cut", config)
    last = torch.load(tmp_path / "cut" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["position"]["step"] == 16
    assert last["monitor"]["best_epoch"] == 1
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.usefixtures("_told")
def test_a_cut_epoch_does_not_stay_the_best(tmp_path: Path) -> None:
    """Step 6 looked best; the run that goes on to step 12 has its best in the first epoch."""
    lines = (*TINY, "model=scratch_cnn_v2", "schedule.phases.all.lr=0.01")
    train_in(tmp_path / "whole", composed(*lines, "trainer.max_steps=12"))
    train_in(tmp_path / "cut", composed(*lines, "trainer.max_steps=6"))
    best = [(tmp_path / run / "checkpoints" / "best.safetensors") for run in ("whole", "cut")]
    first, second = (load_file(file)["age_head.linear.weight"] for file in best)
    assert not torch.equal(first, second)
    go_on(tmp_path / "cut", composed(*lines, "trainer.max_steps=12"))
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("first", [1, 3, 4, 6])
def test_a_longer_limit_ends_where_a_run_of_that_limit_does(first: int, tmp_path: Path) -> None:
    """An epoch that the first limit cut goes on in its middle; its figures do not count."""
    lines = (*TINY, "model=scratch_cnn_v2", "schedule.phases.all.lr=0.01")
    train_in(tmp_path / "whole", composed(*lines, "trainer.max_steps=11"))
    train_in(tmp_path / "cut", composed(*lines, f"trainer.max_steps={first}"))
    for limit in (7, 11):
        go_on(tmp_path / "cut", composed(*lines, f"trainer.max_steps={limit}"))
    whole, cut = (
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)
        for run in ("whole", "cut")
    )
    assert whole["position"] == cut["position"] == {"phase": "all", "epoch": 3, "epoch_step": 3, "step": 11}
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
