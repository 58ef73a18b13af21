"""The predictions table, the seam of the program: one row a face, whoever predicted it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from agegender.core.errors import UserError
from agegender.core.files import write_csv
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
    "gender_prob_calibrated",
)
"""Ages in years; `gender` and `gender_pred` are names of GENDERS; `gender_prob` is P(female) as the network
says it, `gender_prob_calibrated` after temperature scaling."""

NEEDED = ("id", "age_pred", "gender_pred", "gender_prob")
FLOAT_FORMAT = "%.9g"

_TEXT = ("id", "path", "group", "identity")
_WORDS = ("split", "gender", "gender_pred")
_MISSING = ("", "NA", "N/A", "NaN", "nan", "None", "null", "NULL", "<NA>")
_AGES = ("age", "age_min", "age_max", "age_pred", "age_std", "age_low", "age_high")
_PROBABILITIES = ("gender_prob", "gender_prob_calibrated")


def write_predictions(table: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV with nine significant digits."""
    write_csv(table, path, FLOAT_FORMAT)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check a predictions table; columns of COLUMNS that it lacks come back empty.

    Raises UserError for a missing column, a missing or impossible prediction, an unknown gender.
    """
    try:
        header = pd.read_csv(path, nrows=0).columns
        # a name or a group may be the word "NA"; only an empty cell is missing there
        missing = {name: [""] if name in _TEXT else list(_MISSING) for name in header}
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys((*_TEXT, *_WORDS), object),
            na_values=missing,
            keep_default_na=False,
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not a readable CSV ({' '.join(str(error).split())})") from error
    for name in NEEDED:
        if name not in header:
            raise UserError(f"{path}: no column {name} (found: {', '.join(header)})")
    table = table.reindex(columns=[*COLUMNS, *(name for name in table.columns if name not in COLUMNS)])
    _check(table, path)
    return table


def _check(table: pd.DataFrame, path: Path) -> None:
    def refuse(name: str, bad: pd.Series[bool], allowed: str) -> None:
        if bad.any():
            first = table.loc[bad, name].iloc[0]
            raise UserError(
                f"{path}: {name} is {'empty' if pd.isna(first) else first} in row {int(bad.argmax()) + 1}, "
                f"such rows: {int(bad.sum())} of {len(table)} (allowed: {allowed})"
            )

    for name in NEEDED:
        refuse(name, table[name].isna(), "any value")
    for name in (*_AGES, *_PROBABILITIES):
        numbers = pd.to_numeric(table[name], errors="coerce")
        refuse(name, table[name].notna() & ~np.isfinite(numbers), "a finite number")
        table[name] = numbers.astype(np.float64)
    for name in _PROBABILITIES:
        outside = table[name].notna() & ~table[name].between(0, 1)
        refuse(name, outside, "P(female) between 0 and 1")
    for name in ("gender", "gender_pred"):
        refuse(name, table[name].notna() & ~table[name].isin(GENDERS), ", ".join(GENDERS))
