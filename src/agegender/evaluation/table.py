"""The predictions table, the seam of the program: one row a face, whoever predicted it."""

from __future__ import annotations

from collections.abc import Callable
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

SEVERAL = ("age_std_aleatoric", "age_std_epistemic", "gender_mutual_information")
"""Columns behind those, of what several passes or networks say together: years, years, nats."""

JUDGED = ("val", "cal", "test")
"""Parts that predictions are of."""
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
    """Read and check a predictions table; columns of COLUMNS that it lacks come back empty, others stay.

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


def read_any_predictions(path: Path) -> pd.DataFrame:
    """The table of any program, with what it may leave out and what it may get wrong.

    Without a column `split` all rows are test. Raises UserError beyond `read_predictions` for an id or a
    part that cannot be, bounds that are the wrong way round, and where there is nothing to judge.
    """
    table = read_predictions(path)
    if table["split"].isna().all():
        table["split"] = "test"
    refuse = _refusal(table, path)
    refuse("id", table["id"].duplicated(), "each once")
    refuse("split", ~table["split"].isin(JUDGED), ", ".join(JUDGED))
    refuse("age_std", table["age_std"] < 0, "0 or more")
    for low, high in (("age_min", "age_max"), ("age_low", "age_high")):
        refuse(high, table[low] > table[high], f"{low} or more")
        for one, other in ((low, high), (high, low)):
            refuse(one, table[one].isna() & table[other].notna(), f"a number where {other} has one")
    judged = table[table["split"] != "cal"]
    if judged[["age", "age_min", "gender"]].isna().all(axis=None):
        raise UserError(
            f"{path}: no row of val or test has a label to judge by (columns age, or age_min and age_max; "
            "gender)"
        )
    return table


def _refusal(table: pd.DataFrame, path: Path) -> Callable[[str, pd.Series[bool], str], None]:
    def refuse(name: str, bad: pd.Series[bool], allowed: str) -> None:
        if bad.any():
            first = table.loc[bad, name].iloc[0]
            raise UserError(
                f"{path}: {name} is {'empty' if pd.isna(first) else first} in row {int(bad.argmax()) + 1}, "
                f"such rows: {int(bad.sum())} of {len(table)} (allowed: {allowed})"
            )

    return refuse


def _check(table: pd.DataFrame, path: Path) -> None:
    refuse = _refusal(table, path)
    for name in NEEDED:
        refuse(name, table[name].isna(), "any value")
    for name in (*_AGES, *_PROBABILITIES, *(name for name in SEVERAL if name in table)):
        numbers = pd.to_numeric(table[name], errors="coerce")
        refuse(name, table[name].notna() & ~np.isfinite(numbers), "a finite number")
        table[name] = numbers.astype(np.float64)
    for name in _PROBABILITIES:
        outside = table[name].notna() & ~table[name].between(0, 1)
        refuse(name, outside, "P(female) between 0 and 1")
    for name in ("gender", "gender_pred"):
        refuse(name, table[name].notna() & ~table[name].isin(GENDERS), ", ".join(GENDERS))
