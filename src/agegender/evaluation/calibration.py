"""What the cal part says of a network's errors, and the columns of predictions that follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agegender.config.options import UncertaintyOptions
from agegender.core.errors import UserError
from agegender.core.files import write_json
from agegender.data.manifest import age_interval
from agegender.evaluation.conformal import Conformal, Score, level_key
from agegender.evaluation.temperature import fit_temperature, scaled_probability

CALIBRATION = "calibration.json"
LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Whose coverage and width are reported."""


class Calibration(BaseModel):
    """Fitted on the cal part alone; it serves whatever the same network predicts in the same way."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    n_age: int
    """Faces of the cal part with an age."""
    n_gender: int
    """Faces of the cal part with a gender."""
    level: Annotated[float, Field(gt=0, lt=1)]
    """Of `age_low` to `age_high`."""
    ages: Conformal | None
    temperature: Annotated[float, Field(gt=0)] | None
    """Of the gender's probability."""
    notes: tuple[str, ...]
    """Sentences about what the cal part could not give."""

    @model_validator(mode="after")
    def _has_its_level(self) -> Self:
        if self.ages is not None:
            for quantiles in (self.ages.pooled, *self.ages.strata.values()):
                missing = {level_key(level) for level in self.levels} - set(quantiles.by_level)
                if missing:
                    raise ValueError(f"no quantile of level {min(missing)}")
        return self

    @property
    def levels(self) -> list[float]:
        return sorted({*LEVELS, self.level})

    @classmethod
    def fit(cls, cal: pd.DataFrame, options: UncertaintyOptions) -> Self | None:
        """From predictions of the cal part; None where that is empty."""
        if not len(cal):
            return None
        aged = cal[age_interval(cal)["low"].notna()]
        gendered = cal[cal["gender"].notna()]
        ages, notes = _fit_ages(aged, options)
        temperature = fit_temperature(
            gendered["gender_prob"].to_numpy(np.float64),
            (gendered["gender"] == "female").to_numpy().astype(np.float64),
        )
        if temperature is None:
            notes.append(
                "No temperature: it takes cal faces of both genders, most but not all of them told rightly."
            )
        return cls(
            n_age=len(aged),
            n_gender=len(gendered),
            level=options.level,
            ages=ages,
            temperature=temperature,
            notes=tuple(notes),
        )

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with `age_low` and `age_high`, in years, and `gender_prob_calibrated`, P(female)."""
        table = table.copy()
        if self.ages is not None:
            table[["age_low", "age_high"]] = self.ages.interval(table, self.level)
        if self.temperature is not None:
            prob_N = table["gender_prob"].to_numpy(np.float64)
            table["gender_prob_calibrated"] = scaled_probability(prob_N, self.temperature)
        return table

    def write(self, directory: Path) -> None:
        write_json(directory / CALIBRATION, self.model_dump(mode="json"))

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Of a run directory; None where it has none. Raises UserError where it is damaged."""
        path = directory / CALIBRATION
        if not path.is_file():
            return None
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValueError as error:
            raise UserError(f"{path} is damaged: {' '.join(str(error).split())[:300]}") from error


def _fit_ages(aged: pd.DataFrame, options: UncertaintyOptions) -> tuple[Conformal | None, list[str]]:
    """The intervals that the options ask for, and what cannot be had."""
    if options.intervals is None:
        return None, []
    if not len(aged):
        return None, ["No intervals: no cal face has an age."]
    without_std = int(aged["age_std"].isna().sum())
    if options.score == "scaled" and without_std:
        return None, [
            f"No intervals: uncertainty.score=scaled needs an age_std, which {without_std} of {len(aged)} "
            "cal faces lack."
        ]
    score: Score = "absolute" if options.score == "absolute" or without_std else "scaled"
    levels = sorted({*LEVELS, options.level})
    ages = Conformal.fit(aged, options.intervals, score, levels)
    notes = [
        f"No interval of level {key}: {ages.pooled.n} cal faces are too few to promise it."
        for key, quantile in ages.pooled.by_level.items()
        if quantile is None
    ]
    if ages.too_few:
        names = [f"{name} ({n})" for name, n in ages.too_few.items()]
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        notes.append(
            f"Too few cal faces for a width of their own, hence that of all: {', '.join(names[:10])}{more}."
        )
    if ages.by == "group" and not ages.strata and not ages.too_few:
        notes.append("No cal face has a group: all faces take the pooled quantile.")
    return ages, notes
