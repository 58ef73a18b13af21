"""Shared by all tests: one thread a process, small pictures, and a cache of drawn faces for all workers."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib as mpl
import pytest
import torch

torch.set_num_threads(1)
mpl.rcParams["savefig.dpi"] = 30  # pictures take much of a small run's time


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test touches the user's cache; xdist workers have one base folder above theirs."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    os.environ["AGEGENDER_CACHE"] = str(shared / "agegender-cache")


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, so that `outputs/` appears in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
