"""Searches for tests: a space from ranges, and a stand-in for training that takes no time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.config.preflight import parse_flags, preflight
from agegender.config.schema import TrainConfig
from agegender.config.search import TuneConfig
from agegender.config.space import Space, checked_space
from agegender.core.files import write_csv, write_yaml
from agegender.engine.watch import Watch


def groups_with(folder: Path, ranges: dict[str, Any]) -> Path:
    """A folder for --config-dir with the ranges as search=mine."""
    (folder / "search").mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "search" / "mine.yaml", ranges)
    return folder


def space_of(folder: Path, ranges: dict[str, Any], *overrides: str) -> Space:
    """The space of a command line that searches these ranges."""
    groups = groups_with(folder / "groups", ranges)
    flags = parse_flags(["--config-dir", str(groups), "search=mine", *overrides])
    plan = preflight("tune", TuneConfig, flags, lambda _: None)
    return checked_space(plan, lambda _: None)


def pretended(
    figure: Callable[[TrainConfig, int], float], epochs: int = 3, column: str = "val_harmonic_mean"
) -> Callable[[TrainConfig, Path, Watch], None]:
    """Training whose figure in each epoch is a function of the settings."""

    def train(config: TrainConfig, path: Path, watch: Watch) -> None:
        path.mkdir()
        rows: list[dict[str, Any]] = []
        for epoch in range(1, epochs + 1):
            if rows:
                watch(rows[-1])
            rows.append({"epoch": epoch, column: figure(config, epoch)})
            write_csv(pd.DataFrame(rows), path / "history.csv")

    return train
