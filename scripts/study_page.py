"""What the pages of the studies share: runs read from their directories, differences, tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.config.sweep_record import read_record
from agegender.core.files import read_json, read_yaml
from agegender.evaluation.paired import Difference, paired_difference
from agegender.evaluation.table import read_predictions
from agegender.report.figures import number

FIGURES = ("age_rmse", "gender_f1", "harmonic_mean")
DIGITS = {"age_rmse": 2, "gender_f1": 3, "harmonic_mean": 3}
BOOTSTRAP = 2000


@dataclass(frozen=True)
class Trained:
    """A run that is done."""

    path: Path
    config: dict[str, Any]
    test: dict[str, Any]
    val: dict[str, Any]
    history: pd.DataFrame

    @property
    def balancer(self) -> str:
        return str(self.config["balancer"]["name"])

    @property
    def lambda_(self) -> float:
        return float(self.config["loss"]["lambda"])

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    def faces(self) -> pd.DataFrame:
        """The test part of its predictions."""
        table = read_predictions(self.path / "predictions.csv")
        return table[table["split"] == "test"]


def trained(sweep: Path) -> Iterator[Trained]:
    """The finished runs of a sweep."""
    for job in read_record(sweep).jobs:
        path = sweep / job.dir
        if not (path / "metrics.json").exists():
            continue
        figures = read_json(path / "metrics.json")
        history = pd.read_csv(path / "history.csv")
        yield Trained(path, read_yaml(path / "config.yaml"), figures["test"], figures["val"], history)


def best(runs: Sequence[Trained]) -> Trained:
    """By the harmonic mean on val."""
    return max(runs, key=lambda run: run.val["harmonic_mean"])


def command(sweep: Path, places: dict[str, str]) -> list[str]:
    """As it was typed, less where this machine has its things: `places` names them by their key."""
    words = shlex.split(read_record(sweep).command)
    typed = []
    for word in words:
        key, _, value = word.partition("=")
        if not word.startswith(("hydra.", "hydra/")):
            typed.append(f"{key}={places[key]}" if key in places and "/" in value else word)
    return ["", "```sh", " ".join(typed), "```", ""]


def parts_of(run: Trained) -> str:
    """How many faces each part has."""
    counts = pd.read_csv(run.path / "split.csv")["split"].value_counts()
    return ", ".join(f"{part} {counts[part]:,}" for part in ("train", "val", "cal", "test"))


def means(runs: Sequence[Trained]) -> list[str]:
    """Of every figure over the runs."""
    values = {figure: [run.test[figure] for run in runs] for figure in FIGURES}
    return [number(sum(each) / len(each), DIGITS[figure]) for figure, each in values.items()]


def differences(runs: Sequence[Trained], reference: Sequence[Trained]) -> dict[str, Difference]:
    """Of the runs less the reference, on the test faces, over the seeds that both have."""
    seeds = sorted({run.seed for run in runs} & {run.seed for run in reference})
    sides = [
        [next(run for run in side if run.seed == seed).faces() for seed in seeds]
        for side in (reference, runs)
    ]
    return paired_difference(sides[0], sides[1], bootstrap=BOOTSTRAP)


def difference(found: Difference, name: str) -> str:
    """With its interval."""
    digits = DIGITS[name]
    if found.difference is None or found.low is None or found.high is None:
        return "–"
    return f"{found.difference:+.{digits}f} ({found.low:+.{digits}f} to {found.high:+.{digits}f})"


def headers(before: str) -> list[str]:
    """Headers of the figures."""
    return [before + name for name in ("age RMSE", "gender F1", "harmonic mean")]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = "|:--" + "|--:" * (len(head) - 1) + "|"
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]
