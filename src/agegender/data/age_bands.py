"""The age bands of splits, tables and pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agegender.data.manifest import age_midpoint

AGE_BANDS = (3, 10, 20, 30, 40, 50, 60, 70)
"""Years at which a new band begins."""


def age_bands(faces: pd.DataFrame) -> pd.Series[int]:
    """Number of each face's band, that of the midpoint of an interval; -1 where no age is known."""
    age = age_midpoint(faces)
    band = np.where(age.isna(), -1, np.digitize(age.fillna(0).to_numpy(), AGE_BANDS))
    return pd.Series(band.tolist(), index=faces.index, dtype=np.int64)


def band_name(band: int) -> str | None:
    """Its first and last whole year; None for -1."""
    if band < 0:
        return None
    low, high = (0, *AGE_BANDS)[band], (*AGE_BANDS, None)[band]
    return f"{low}+" if high is None else f"{low}–{high - 1}"
