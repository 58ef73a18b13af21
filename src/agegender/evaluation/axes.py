"""What faces are told apart by: gender, group, age band, two of them at once, further columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.errors import UserError
from agegender.data.age_bands import age_bands, band_name
from agegender.evaluation.table import COLUMNS


@dataclass(frozen=True)
class Axis:
    """The cells that a table's faces fall into."""

    name: str
    codes_N: npt.NDArray[np.int64]
    """Each face's cell, -1 where its value is not known."""
    cells: list[str]


def check_columns(by: Iterable[str], columns: Sequence[str] = COLUMNS) -> None:
    """Raises UserError for a column of `evaluation.by` that a predictions table does not have."""
    for name in by:
        if name not in columns:
            raise UserError(
                f"evaluation.by: the predictions have no column {name} (only {', '.join(columns)})"
            )


def axes_of(table: pd.DataFrame, by: Sequence[str] = ()) -> list[Axis]:
    """Gender, group and age band, those of `by`, then the pairs of the first three.

    An axis has the cells that occur. It is left out where no value is known; a pair also where one of its
    axes has a single cell, since it would tell apart what the other one does. Raises UserError for an unknown
    column.
    """
    check_columns(by, list(table.columns))
    plain = [_axis("gender", table["gender"]), _axis("group", table["group"]), _age_band(table)]
    further = [_axis(name, table[name]) for name in dict.fromkeys(by) if name not in ("gender", "group")]
    pairs = [_pair(*pair) for pair in combinations([axis for axis in plain if len(axis.cells) > 1], 2)]
    return [axis for axis in (*plain, *further, *pairs) if axis.cells]


def _axis(name: str, values: pd.Series[str]) -> Axis:
    known = values.notna()
    codes_N = np.full(len(values), -1, np.int64)
    codes_N[known], cells = pd.factorize(values[known].astype(str), sort=True)
    return Axis(name, codes_N, list(cells))


def _age_band(table: pd.DataFrame) -> Axis:
    bands_N = age_bands(table).to_numpy()
    found, codes_N = np.unique(bands_N, return_inverse=True)
    if len(found) and found[0] < 0:
        found, codes_N = found[1:], codes_N - 1
    return Axis("age band", codes_N.astype(np.int64), [str(band_name(band)) for band in found])


def _pair(a: Axis, b: Axis) -> Axis:
    known = (a.codes_N >= 0) & (b.codes_N >= 0)
    codes_N = np.full(len(known), -1, np.int64)
    found, codes_N[known] = np.unique(a.codes_N[known] * len(b.cells) + b.codes_N[known], return_inverse=True)
    cells = [f"{a.cells[code // len(b.cells)]}, {b.cells[code % len(b.cells)]}" for code in found]
    return Axis(f"{a.name} and {b.name}", codes_N, cells)
