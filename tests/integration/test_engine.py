"""What the engine's settings do to a run: features of frozen phases, bad numbers, the profile."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from agegender.config.schema import AugmentOptions
from agegender.core.files import read_json
from agegender.engine import explanation
from agegender.models.backbones.scratch_cnn import ScratchCNN
from agegender.models.backbones.scratch_cnn_v2 import ScratchCNNv2
from agegender.models.heads.regression import RegressionHead

from ..training import TIMES, composed, train_in
from .conftest import TEN_STEPS, TINY, Call

FROZEN = (
    "model=scratch_cnn_v2", "data.n=80", "data.image_size=16", "trainer.batch_size=12",
    "evaluation.bootstrap=0",
    "schedule.phases.all.trainable=heads", "schedule.phases.all.epochs=3", "schedule.phases.all.lr=0.01",
    "trainer.precision=32",
)  # fmt: skip


def _tensors(run: Path) -> dict[str, Tensor]:
    return load_file(run / "checkpoints" / "best.safetensors")


class TestFrozenPhase:
    @pytest.mark.parametrize("cache", ["disk", "memory"])
    def test_features_once_are_as_good(
        self, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = composed(*FROZEN, f"data.cache={cache}")
        seen: list[int] = []
        forward = ScratchCNNv2.forward

        def count(self: ScratchCNNv2, images_BCHW: Tensor) -> Tensor:
            seen.append(len(images_BCHW))
            return forward(self, images_BCHW)

        with monkeypatch.context() as patch:
            patch.setattr(ScratchCNNv2, "forward", count)
            train_in(tmp_path / "once", config)
        history = pd.read_csv(tmp_path / "once" / "history.csv").drop(columns=TIMES)
        judged = len(pd.read_csv(tmp_path / "once" / "predictions.csv"))
        # train and val once in three epochs, then the predictions and the faces that are explained
        assert sum(seen) == 56 + 8 + judged + explanation.FACES
        with monkeypatch.context() as patch:
            patch.setattr(AugmentOptions, "is_off", property(lambda _self: False))
            train_in(tmp_path / "anew", config)
        anew = pd.read_csv(tmp_path / "anew" / "history.csv").drop(columns=TIMES)
        pd.testing.assert_frame_equal(history, anew, rtol=1e-4)
        for name, tensor in _tensors(tmp_path / "once").items():
            assert torch.allclose(tensor, _tensors(tmp_path / "anew")[name], rtol=1e-3, atol=1e-5), name

    @pytest.mark.usefixtures("workdir")
    def test_no_room_for_features(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        assert call("train", *FROZEN, "hydra.run.dir=first").code == 0

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.posix_fallocate", full, raising=False)
        done = call("train", *FROZEN, "hydra.run.dir=run")
        assert done.code == 2
        assert "features" in done.err
        assert "No space left on device" in done.err
        assert len(done.err.splitlines()) == 1


class TestBadNumbers:
    @pytest.fixture(autouse=True)
    def _one_bad_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The age loss of the fourth batch is NaN."""
        loss, calls = RegressionHead.loss, {"train": 0}

        def bad(self: RegressionHead, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
            value = loss(self, raw_BK, age_B2)
            if not torch.is_grad_enabled():
                return value
            calls["train"] += 1
            return value * (torch.nan if calls["train"] == 4 else 1.0)

        monkeypatch.setattr(RegressionHead, "loss", bad)

    def test_stop(self, workdir: Path, call: Call) -> None:
        done = call("train", *TEN_STEPS, "trainer.checkpoint_every=2", "hydra.run.dir=run")
        assert done.code == 1
        assert "step 4: the age loss is nan" in done.err
        assert "nonfinite.csv" in done.err
        listed = pd.read_csv(workdir / "run" / "nonfinite.csv")
        assert set(listed["step"]) == {4}
        assert listed["path"].map(lambda path: Path(path).exists()).all()
        last = torch.load(workdir / "run" / "checkpoints" / "last.ckpt", weights_only=True)
        assert last["position"]["step"] == 2
        assert all(tensor.isfinite().all() for tensor in last["network"].values())

    def test_skip(self, workdir: Path, call: Call) -> None:
        done = call("train", *TEN_STEPS, "trainer.on_nonfinite=skip", "hydra.run.dir=run")
        assert done.code == 0, done.err
        assert "step 4: the age loss is nan" in done.out
        history = pd.read_csv(workdir / "run" / "history.csv")
        assert history["skipped_steps"].tolist() == [1, 0]
        assert np.isfinite(history["train_age_loss"]).all()
        assert (history["weight_gender"] == 50).all()
        assert len(pd.read_csv(workdir / "run" / "nonfinite.csv")) in (11, 12)


@pytest.mark.usefixtures("workdir")
def test_an_epoch_of_nothing_but_bad_steps_ends_the_run(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RegressionHead, "loss", lambda _self, raw, _age: raw.sum() * torch.nan)
    done = call("train", *TINY, "trainer.on_nonfinite=skip", "hydra.run.dir=run")
    assert done.code == 1
    assert "every step of epoch 1 was skipped" in done.err


def test_the_profile_says_where_the_time_went(workdir: Path, call: Call) -> None:
    assert call("train", *TEN_STEPS, "trainer.profile=true", "hydra.run.dir=run").code == 0
    profile = read_json(workdir / "run" / "profile.json")
    assert profile["steps"] == 10
    assert list(profile["sections"]) == [
        "data", "forward", "backward", "optimizer", "evaluation", "checkpoint", "other",
    ]  # fmt: skip
    assert sum(profile["sections"].values()) == pytest.approx(profile["seconds"])
    assert all(seconds > 0 for seconds in profile["sections"].values())
    assert "backward" in (workdir / "run" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "override",
    [
        "trainer.accumulate=3", "schedule.rate=cosine", "schedule.rate=one_cycle", "schedule.warmup_epochs=1",
        "schedule.clip_norm=0.1", "schedule.ema=0.9", "schedule.layer_decay=0.5", "trainer.precision=bf16",
        "schedule.rate=plateau schedule.plateau_patience=1 trainer.monitor=gender_f1",
        "schedule.optimizer=adamw schedule.weight_decay=0.5",
    ],
)  # fmt: skip
def test_every_setting_changes_the_weights(override: str, tmp_path: Path) -> None:
    lines = (*TEN_STEPS, "schedule.phases.all.epochs=3", "trainer.precision=32")
    train_in(tmp_path / "plain", composed(*lines))
    train_in(tmp_path / "other", composed(*lines, *override.split()))
    first, second = (
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)
        for run in ("plain", "other")
    )
    if "ema" in override:
        first["network"], second["network"] = _tensors(tmp_path / "plain"), _tensors(tmp_path / "other")
    name = "backbone.stages.0.weight"
    assert not torch.equal(first["network"][name], second["network"][name])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainer.precision=16", "trainer.precision=16 needs a cuda device"),
        ("trainer.precision=fp8", "trainer.precision"),
        ("trainer.accelerator=tpu", "trainer.accelerator"),
        ("trainer.accumulate=33", "trainer.accumulate=33 parts cannot be made of trainer.batch_size=32"),
        ("trainer.on_nonfinite=ignore", "trainer.on_nonfinite"),
        ("schedule.ema=1", "schedule.ema"),
    ],
)
def test_mistakes(override: str, words: str, workdir: Path, call: Call) -> None:
    done = call("train", *TINY, "trainer.accelerator=cpu", override)
    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) <= 2
    assert not (workdir / "outputs").exists()


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # what torch itself imports for this
def test_a_compiled_backbone_takes_the_same_steps(tmp_path: Path) -> None:
    """An epoch has batches of two sizes, so that the second one is compiled for any."""
    lines = (*TEN_STEPS, "trainer.precision=32", "augment=none")
    for compiled in ("false", "true"):
        train_in(tmp_path / compiled, composed(*lines, f"trainer.compile={compiled}"))
    plain, other = (
        pd.read_csv(tmp_path / name / "history.csv").drop(columns=TIMES) for name in ("false", "true")
    )
    pd.testing.assert_frame_equal(plain, other, rtol=1e-3)
    assert _tensors(tmp_path / "false").keys() == _tensors(tmp_path / "true").keys()


@pytest.mark.skipif(sys.platform == "win32", reason="there the compiler is another")
def test_no_compiler(workdir: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    done = call("train", *TINY, "trainer.compile=true")
    assert done.code == 2
    assert "trainer.compile=true needs a C++ compiler, and no-such-compiler is not" in done.err
    assert not (workdir / "outputs").exists()


def test_pooling_first_is_the_published_function() -> None:
    for name, network in (("scratch_cnn", ScratchCNN), ("scratch_cnn_v2", ScratchCNNv2)):
        ours = network(composed(f"model={name}").model, 32).eval()  # type: ignore[arg-type]
        published = list(ours.stages)
        for place, layer in enumerate(ours.stages):
            if isinstance(layer, torch.nn.MaxPool2d):
                published[place], published[place + 1] = published[place + 1], layer
        images = torch.randn(3, 3, 32, 32)
        assert torch.equal(ours.stages(images), torch.nn.Sequential(*published)(images))
