"""A CSV file as text cells, whatever its separator; every mistake in it is the user's to mend."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from pathlib import Path

import pandas as pd

from agegender.core.errors import UserError

SEPARATORS = (",", ";", "\t", "|")
_LONGEST = 100_000
"""A header has fewer characters."""


def read_table(path: Path) -> pd.DataFrame:
    """All cells as text, "" where empty; a byte order mark is skipped, the separator found by itself.

    Raises UserError for a file that is empty, no UTF-8 text, or no table.
    """
    separator, header = _header(path)
    repeated = [name for name, times in Counter(header).items() if times > 1]
    if repeated:
        raise UserError(f"{path}: the header names column {repeated[0]!r} more than once")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row longer than the header
            table = pd.read_csv(
                path,
                sep=separator,
                dtype=object,
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise UserError(f"{path} is no table: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    if table.empty:
        raise UserError(f"{path} has no rows below its header")
    table.columns = pd.Index(header)
    return table


def _header(path: Path) -> tuple[str, list[str]]:
    """The separator that cuts the header into most names, and these names without blanks around them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = next((line for line in iter(lambda: file.readline(_LONGEST), "") if line.strip()), "")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    if not line:
        raise UserError(f"{path} is empty")
    if "\0" in line or len(line) == _LONGEST:
        raise UserError(f"{path} is no CSV: its first line is no header")
    names = {separator: next(csv.reader([line.strip()], delimiter=separator)) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: len(names[separator]))
    return best, [name.strip() for name in names[best]]


def _not_utf8(path: Path, error: UnicodeDecodeError) -> UserError:
    byte = error.object[error.start]
    return UserError(f"{path} is no UTF-8 text (it holds byte {byte:#04x}): save it as CSV in UTF-8")
