"""What the studies of docs/ share: a sweep that is a command of its own, and taken up where it stands."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from agegender.report.sweep import write_sweep

FIGURE = "val_harmonic_mean"
"""By which a study chooses."""


@dataclass(frozen=True)
class Sweep:
    """One command."""

    directory: Path
    overrides: tuple[str, ...]

    def run(self, settings: Iterable[str]) -> pd.DataFrame:
        """Train what is not trained yet under the study's settings; the table of its jobs."""
        if (self.directory / "sweep.json").exists():
            arguments = [f"sweep.resume={self.directory}"]
        else:
            two_at_once = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
            where = f"hydra.sweep.dir={self.directory}"
            arguments = ["-m", *settings, *self.overrides, *two_at_once, where]
        print(shlex.join(["agegender-train", *arguments]), flush=True)
        subprocess.run([sys.executable, "-m", "agegender.cli.train", *arguments], check=False)
        return write_sweep(self.directory)


def listed(values: Iterable[object]) -> str:
    """Values of a sweep as they are typed."""
    return ",".join(map(str, values))
