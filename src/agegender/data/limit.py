"""Which rows a limit keeps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agegender.core.seeding import stream


def limited(faces: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    """`limit` rows in their old order; a larger limit keeps the rows of a smaller one."""
    if limit is None or limit >= len(faces):
        return faces
    drawn = stream(seed, "limit").permutation(len(faces))[:limit]
    return faces.iloc[np.sort(drawn)].reset_index(drop=True)
