"""The manifest: one row a face with its labels as published, checked the same way for every source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agegender.config.options import DataOptions
from agegender.core.types import GENDERS

COLUMNS = ("id", "path", "age", "age_min", "age_max", "gender", "group", "identity", "split")
"""id: unique text; path: absolute; age: years or NaN; age_min, age_max: the interval of a face without
an exact age, inclusive years, else NaN; gender: a name of core.types.GENDERS or None; group, identity,
split: text or None."""

REJECTED_COLUMNS = ("id", "path", "reason", "detail")

_NUMBERS = ("age", "age_min", "age_max")


@dataclass(frozen=True)
class Manifest:
    """What a source holds, before any image is opened."""

    faces: pd.DataFrame
    """COLUMNS, indexed 0..n-1, in the source's own order."""
    rejected: pd.DataFrame
    """REJECTED_COLUMNS: rows that cannot be used, and why."""
    terms: str
    """Licence terms of the data."""
    notes: tuple[str, ...]
    """What a reader of the figures must know about these labels."""


def age_interval(faces: pd.DataFrame) -> pd.DataFrame:
    """What is known of each age: inclusive years `low` to `high`, equal for an exact age, NaN for none."""
    low, high = (faces["age"].fillna(faces[end]) for end in ("age_min", "age_max"))
    known = low.notna() & high.notna()
    return pd.DataFrame({"low": low.where(known), "high": high.where(known)})


def age_midpoint(faces: pd.DataFrame) -> pd.Series[float]:
    """One number of years for each age: the exact one, else the middle of its interval, else NaN."""
    interval = age_interval(faces)
    midpoint: pd.Series[float] = (interval["low"] + interval["high"]) / 2
    return midpoint


def rejected_rows(rows: pd.DataFrame, reason: str, detail: str | pd.Series[str] = "") -> pd.DataFrame:
    """`rows` (with id and path) as a table of REJECTED_COLUMNS."""
    table = rows[["id", "path"]].assign(reason=reason, detail=detail)
    return table.astype(object).reset_index(drop=True)


def build_manifest(
    raw: pd.DataFrame,
    options: DataOptions,
    *,
    terms: str,
    notes: tuple[str, ...] = (),
    rejected: Sequence[pd.DataFrame] = (),
    files_exist: bool = True,
) -> Manifest:
    """Check what a source read; every source ends here.

    `raw` has id and path and any other of COLUMNS, missing values as None or NaN; `rejected` are tables
    of rows that the source itself refused. Rejects rows without a file (unless `files_exist` is False:
    the source makes them later), with an age outside options.age_min..age_max (an interval counts by its
    midpoint, and stays whole where it reaches beyond) or with no label at all; keeps rows with one label. A
    repeated id gets `#2`, `#3`, ...
    """
    faces = _typed(raw)
    faces["id"], renamed = _unique(faces["id"])
    if renamed:
        notes = (*notes, f"{renamed} rows repeat an earlier id; theirs end in #2, #3, ...")
    tables = list(rejected)

    def reject(bad: pd.Series[bool], reason: str, detail: str | pd.Series[str]) -> None:
        nonlocal faces
        if bad.any():
            tables.append(rejected_rows(faces[bad], reason, detail))
            faces = faces[~bad]

    if files_exist:
        # not pathlib: a million Path objects cost ten seconds
        there = np.fromiter(map(os.path.isfile, faces["path"]), dtype=bool, count=len(faces))
        reject(pd.Series(~there, index=faces.index), "no such file", "")
    age = age_midpoint(faces)
    outside = (age < options.age_min) | (age > options.age_max)
    span = f"not in {options.age_min:g}..{options.age_max:g}"
    reject(outside, "age outside range", age[outside].map(lambda years: f"{years:g} is {span}"))
    reject(age_midpoint(faces).isna() & faces["gender"].isna(), "no label", "neither age nor gender")
    return Manifest(faces.reset_index(drop=True), join_rejected(tables), terms, notes)


def join_rejected(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of rejected rows as one."""
    empty = pd.DataFrame(columns=list(REJECTED_COLUMNS), dtype=object)
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True)[list(REJECTED_COLUMNS)] if filled else empty


def said_reasons(rejected: pd.DataFrame) -> str:
    """How many rows were rejected for which reason, in brackets behind a message; nothing for none."""
    counts = rejected["reason"].value_counts()
    return " (" + ", ".join(f"{n} {reason}" for reason, n in counts.items()) + ")" if len(counts) else ""


def _typed(raw: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS with float64 numbers and object text, None where there is no text."""
    faces = pd.DataFrame(index=pd.RangeIndex(len(raw)))
    for name in COLUMNS:
        if name in _NUMBERS:
            faces[name] = raw[name].to_numpy(dtype=np.float64, na_value=np.nan) if name in raw else np.nan
        elif name in raw:
            text = raw[name].reset_index(drop=True).astype(object)
            faces[name] = text.where(text.notna(), None)
        else:
            faces[name] = np.full(len(raw), None, dtype=object)
    unknown = set(faces["gender"].dropna()) - set(GENDERS)
    assert not unknown, f"a source must map genders to {GENDERS}, found {unknown}"
    return faces


def _unique(ids: pd.Series[str]) -> tuple[pd.Series[str], int]:
    """Ids with #2, #3, ... behind repeated ones, and how many were changed."""
    changed = int(ids.duplicated().sum())
    while ids.duplicated().any():  # a second round only where "a#2" was itself an id
        nth = ids.groupby(ids).cumcount() + 1
        ids = ids.where(nth == 1, ids + "#" + nth.astype(str))
    return ids.astype(object), changed
