"""Every balancer trains a network, and where its method says so to other weights than `fixed`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from agegender.core import registry

from ..training import composed, train_in

TINY = (
    "data.n=60", "data.image_size=16", "trainer.batch_size=12", "trainer.precision=32", "model=scratch_cnn",
    "schedule.phases.all.epochs=3", "schedule.phases.all.lr=0.003", "balancer.diagnose_every=2",
)  # fmt: skip


def _train(path: Path, *lines: str) -> pd.DataFrame:
    train_in(path, composed(*TINY, *lines))
    return pd.read_csv(path / "history.csv")


def _weights(run: Path) -> np.ndarray:
    tensors = load_file(run / "checkpoints" / "best.safetensors")
    return np.concatenate([tensors[name].numpy().ravel() for name in sorted(tensors)])


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fixed") / "run"
    _train(path)
    return path


@pytest.mark.parametrize("name", registry.names("balancer"))
def test_every_balancer_trains(name: str, fixed: Path, tmp_path: Path) -> None:
    history = _train(tmp_path / "run", f"balancer={name}")
    assert history["train_age_loss"].iloc[-1] < history["train_age_loss"].iloc[0]
    assert history["grad_samples"].tolist() == [2, 2, 2]
    assert history["grad_cosine"].between(-1, 1).all()
    assert history["grad_conflicts"].between(0, 1).all()
    norms = history[["shared_grad_age", "shared_grad_gender"]].to_numpy()
    assert np.isfinite(norms).all()
    assert (norms > 0).any(axis=1).all()
    is_same = np.array_equal(_weights(tmp_path / "run"), _weights(fixed))
    assert is_same == (name == "fixed")


@pytest.mark.parametrize("name", ["age_only", "gender_only"])
def test_a_single_task_is_alone_on_the_shared_parameters(name: str, tmp_path: Path) -> None:
    """Twice the gender loss, in plain steps (Adam would undo it), moves what gender trains and no more."""
    plain = (f"balancer={name}", "schedule.optimizer=sgd", "schedule.phases.all.lr=1e-5")
    runs = [tmp_path / "once", tmp_path / "twice"]
    for lambda_, run in enumerate(runs, start=1):
        _train(run, *plain, f"loss.lambda={lambda_}")
    once, twice = (load_file(run / "checkpoints" / "best.safetensors") for run in runs)
    changed = {key.split(".")[0] for key in once if not np.array_equal(once[key], twice[key])}
    assert changed == ({"gender_head"} if name == "age_only" else {"backbone", "age_head", "gender_head"})


@pytest.mark.parametrize("sharing", ["split_last_stage", "mtan"])
def test_gradients_are_balanced_on_what_is_shared(sharing: str, tmp_path: Path) -> None:
    """What a task has for itself learns from its own loss: the other's weight does not reach it."""
    chosen = f"model.sharing={sharing}"
    history = _train(tmp_path / "run", chosen, "balancer=pcgrad")
    assert history["train_age_loss"].iloc[-1] < history["train_age_loss"].iloc[0]
    assert history["grad_samples"].tolist() == [2, 2, 2]
    plain = (chosen, "balancer=age_only", "schedule.optimizer=sgd", "schedule.phases.all.lr=1e-5")
    for lambda_ in (1, 2):
        _train(tmp_path / str(lambda_), *plain, f"loss.lambda={lambda_}", "trainer.max_steps=4")
    once, twice = (load_file(tmp_path / run / "checkpoints" / "best.safetensors") for run in "12")
    changed = {key for key in once if "running" not in key and not np.array_equal(once[key], twice[key])}
    assert {key.split(".")[0] for key in changed} == {"gender_head", "sharing"}
    assert all(key.startswith(("gender_head.", "sharing.gender.")) for key in changed)
