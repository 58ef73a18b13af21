"""Split conformal prediction: intervals of ages that rest on the cal part's errors alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from agegender.data.age_bands import AGE_BANDS, band_name
from agegender.data.manifest import age_interval
from agegender.evaluation.age_figures import age_error
from agegender.evaluation.bootstrap import Floats

By = Literal["plain", "predicted_age", "group"]
Score = Literal["absolute", "scaled"]

MIN_FACES = 30
"""Cal faces from which on a band or a group has a quantile of its own."""

_MIN_STD = 0.5
"""Years; a label is no finer than the year it is rounded to, so no smaller age_std scales an error."""

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Quantiles(BaseModel):
    """Of the scores of `n` cal faces, by level ("0.9"); None where so few cannot promise it."""

    model_config = _STRICT

    n: int
    by_level: dict[str, Annotated[float, Field(ge=0)] | None]

    @classmethod
    def of(cls, scores_N: Floats, levels: Sequence[float]) -> Self:
        """The ceil((n + 1) level)-th smallest score: a new face's lies below with at least that chance."""
        ordered_N = np.sort(scores_N)
        by_level: dict[str, float | None] = {}
        for level in levels:
            rank = math.ceil(round((len(ordered_N) + 1) * level, 9))  # 100 * 0.55 is above 55 in floats
            by_level[level_key(level)] = float(ordered_N[rank - 1]) if rank <= len(ordered_N) else None
        return cls(n=len(ordered_N), by_level=by_level)


class Conformal(BaseModel):
    """Intervals `age_pred` -+ quantile x scale, the scale being 1 year or the face's age_std.

    Plain: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, JASA 2018, whose section 5.2 scales errors by
    their spread; a quantile a band of predicted ages or a group: Mondrian, Vovk, Lindsay, Nouretdinov and
    Gammerman 2003. Coverage holds for faces that are exchangeable with the cal ones. The score of an age
    given as an interval is the distance to it, and what is covered is then that the two intervals meet.
    """

    model_config = _STRICT

    by: By
    score: Score
    pooled: Quantiles
    """Of all cal faces; for every face whose band or group has none."""
    strata: dict[str, Quantiles]
    """By band or group."""
    too_few: dict[str, int]
    """Bands and groups of less than MIN_FACES cal faces, with their number: they take the pooled ones."""

    @classmethod
    def fit(cls, cal: pd.DataFrame, by: By, score: Score, levels: Sequence[float]) -> Self:
        """From predictions of cal faces that all have an age, and an age_std where the score is scaled."""
        errors_N = age_error(age_interval(cal).to_numpy(np.float64), cal["age_pred"].to_numpy(np.float64))
        scores_N = np.abs(errors_N) / _scale(cal, score)
        stratum_N = _stratum(cal, by)
        sizes = stratum_N.value_counts().sort_index()[lambda count: count > 0]
        return cls(
            by=by,
            score=score,
            pooled=Quantiles.of(scores_N, levels),
            strata={
                str(name): Quantiles.of(scores_N[stratum_N == name], levels)
                for name in sizes.index[sizes >= MIN_FACES]
            },
            too_few={str(name): int(size) for name, size in sizes.items() if size < MIN_FACES},
        )

    def interval(self, table: pd.DataFrame, level: float) -> Floats:
        """Low and high in years (N, 2), none below 0; NaN where nothing can be promised."""
        key = level_key(level)
        own = {name: quantiles.by_level[key] for name, quantiles in self.strata.items()}
        quantile_N = _stratum(table, self.by).map(own).astype(np.float64).to_numpy()
        pooled = self.pooled.by_level[key]
        quantile_N = np.where(np.isnan(quantile_N), np.nan if pooled is None else pooled, quantile_N)
        half_N = quantile_N * _scale(table, self.score)
        middle_N = table["age_pred"].to_numpy(np.float64)
        interval_N2: Floats = np.maximum(np.column_stack([middle_N - half_N, middle_N + half_N]), 0)
        return interval_N2


def level_key(level: float) -> str:
    """How a level is written in names and files."""
    return f"{level:g}"


def _scale(table: pd.DataFrame, score: Score) -> Floats:
    if score == "absolute":
        return np.ones(len(table))
    scale_N: Floats = np.maximum(table["age_std"].to_numpy(np.float64), _MIN_STD)
    return scale_N


def _stratum(table: pd.DataFrame, by: By) -> pd.Series[str]:
    """What must be known when a face is predicted: never the labelled age."""
    if by == "predicted_age":
        names = pd.Index([str(band_name(band)) for band in range(len(AGE_BANDS) + 1)])
        bands = pd.Categorical.from_codes(np.digitize(table["age_pred"], AGE_BANDS), names)
        return pd.Series(bands, index=table.index)
    if by == "group":
        return table["group"]
    return pd.Series(None, index=table.index, dtype=object)
