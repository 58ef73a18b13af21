"""A tiny trained run, made once a worker, and the commands called in-process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from agegender.cli import evaluate, models, predict, report, train, tune
from agegender.config.entry import Entry, run_entry

ENTRIES: dict[str, Entry] = {
    "train": train.ENTRY,
    "evaluate": evaluate.ENTRY,
    "models": models.ENTRY,
    "predict": predict.ENTRY,
    "report": report.ENTRY,
    "tune": tune.ENTRY,
}

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
needs_two_cores = pytest.mark.skipif(_CORES < 2, reason="two CPU ranks need two cores")

TINY = (
    "model=scratch_cnn",
    "data.n=80",
    "data.image_size=16",
    "evaluation.bootstrap=20",
    "schedule.phases.all.epochs=2",
)
"""A run of about a second."""

TEN_STEPS = (*TINY, "trainer.batch_size=12", "augment=published")
"""The run of `whole`: five steps an epoch."""

SWEPT = (*TINY, "trainer.max_steps=2", "loss.lambda=1,10,100")
"""The three jobs of `tiny_sweep`."""


@pytest.fixture(autouse=True)
def _blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a single test draw nothing, which is half of their time; those of the session's fixtures do."""

    def save(_figure: Figure, file: Path, **_options: object) -> None:
        Image.new("RGB", (1, 1)).save(file, "png")

    monkeypatch.setattr(Figure, "savefig", save)


@dataclass(frozen=True)
class Called:
    """How a command ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Called]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """`call("train", "seed=1", ...)`: run a console script in-process."""

    def run(name: str, *arguments: str) -> Called:
        capfd.readouterr()
        code = run_entry(ENTRIES[name], list(arguments))
        out, err = capfd.readouterr()
        return Called(code, out, err)

    return run


@pytest.fixture(scope="session")
def tiny_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished sweep of three tiny jobs, lambda 1, 10, 100; tests copy it."""
    folder = tmp_path_factory.mktemp("sweep") / "sweep"
    assert run_entry(ENTRIES["train"], ["-m", *SWEPT, f"hydra.sweep.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished tiny run; tests must not write into it."""
    here = Path.cwd()
    folder = tmp_path_factory.mktemp("tiny")
    os.chdir(folder)
    try:
        assert run_entry(ENTRIES["train"], [*TINY, "hydra.run.dir=run"]) == 0
    finally:
        os.chdir(here)
    return folder / "run"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an uninterrupted run; tests must not write into it."""
    path = tmp_path_factory.mktemp("whole") / "run"
    assert run_entry(ENTRIES["train"], [*TEN_STEPS, f"hydra.run.dir={path}"]) == 0
    return path
