"""What the cal part says of a network's errors, and the columns of predictions that follow from it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from agegender.config.options import UncertaintyOptions
from agegender.core.files import read_json, write_json
from agegender.data.manifest import age_interval
from agegender.evaluation.age_figures import age_error

CALIBRATION = "calibration.json"
LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Whose coverage and width are reported."""


@dataclass(frozen=True)
class Calibration:
    """Fitted on the cal part alone; it serves whatever the same network predicts in the same way."""

    n_age: int
    """Faces of the cal part with an age."""
    level: float
    """Of `age_low` to `age_high`."""
    half_width: dict[str, float | None]
    """Years on either side, by level; None where the cal part is too small to promise it."""

    @classmethod
    def fit(cls, cal: pd.DataFrame, options: UncertaintyOptions) -> Self | None:
        """Split conformal prediction on absolute errors; None without intervals, or without ages.

        Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, JASA 2018.
        """
        errors_N = age_error(age_interval(cal).to_numpy(np.float64), cal["age_pred"].to_numpy(np.float64))
        scores_N = np.sort(np.abs(errors_N[~np.isnan(errors_N)]))
        if options.intervals is None or not len(scores_N):
            return None
        half_width = {}
        for level in sorted({*LEVELS, options.level}):
            rank = math.ceil((len(scores_N) + 1) * level)
            half_width[f"{level:g}"] = float(scores_N[rank - 1]) if rank <= len(scores_N) else None
        return cls(len(scores_N), options.level, half_width)

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with `age_low` and `age_high`, in years."""
        half = self.half_width[f"{self.level:g}"]
        half = np.nan if half is None else half
        return table.assign(age_low=table["age_pred"] - half, age_high=table["age_pred"] + half)

    def write(self, directory: Path) -> None:
        write_json(directory / CALIBRATION, asdict(self))

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Of a run directory; None where it has none."""
        path = directory / CALIBRATION
        content: dict[str, Any] | None = read_json(path) if path.is_file() else None
        return None if content is None else cls(**content)
