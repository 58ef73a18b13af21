"""The predictions table, the seam of the program: one row a face, whoever predicted it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agegender.core.errors import UserError, unknown
from agegender.core.files import atomic
from agegender.core.types import GENDERS

COLUMNS = (
    "id",
    "path",
    "split",
    "age",
    "age_min",
    "age_max",
    "gender",
    "group",
    "identity",
    "cluster",
    "age_pred",
    "age_std",
    "age_low",
    "age_high",
    "gender_pred",
    "gender_prob",
)
"""Ages in years; `gender` and `gender_pred` are names of GENDERS; `gender_prob` is P(female)."""

NEEDED = ("id", "age_pred", "gender_pred", "gender_prob")
FLOAT_FORMAT = "%.9g"

_TEXT = ("id", "path", "split", "gender", "group", "identity", "gender_pred")


def write_predictions(table: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV with nine significant digits."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOAT_FORMAT)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check a predictions table; columns that it lacks come back empty.

    Raises UserError for a missing column, a missing or impossible prediction, an unknown gender.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(_TEXT, object))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not a readable CSV ({' '.join(str(error).split())})") from error
    for name in NEEDED:
        if name not in table.columns:
            raise UserError(f"{path}: {unknown('column', name, table.columns)}")
    table = table.reindex(columns=[*COLUMNS, *(name for name in table.columns if name not in COLUMNS)])
    _check(table, path)
    return table


def _check(table: pd.DataFrame, path: Path) -> None:
    for name in NEEDED[1:]:
        if table[name].isna().any():
            raise UserError(
                f"{path}: {name} is missing in {int(table[name].isna().sum())} of {len(table)} rows"
            )
    for name in ("age", "age_min", "age_max", "age_pred", "gender_prob"):
        if not pd.api.types.is_numeric_dtype(table[name]) and table[name].notna().any():
            raise UserError(f"{path}: {name} holds words, not numbers")
    if not table["gender_prob"].between(0, 1).all():
        raise UserError(f"{path}: gender_prob must be P(female) between 0 and 1")
    for name in ("gender", "gender_pred"):
        odd = set(table[name].dropna()) - set(GENDERS)
        if odd:
            raise UserError(
                f"{path}: {name} holds {sorted(map(str, odd))[0]!r} (allowed: {', '.join(GENDERS)})"
            )
