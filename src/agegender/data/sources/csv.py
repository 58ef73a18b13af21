"""Any CSV with a row a face; what its columns and gender codes mean is declared, never guessed."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BeforeValidator, ValidationInfo, field_validator, model_validator

from agegender.config.options import DataOptions, ExistingDir, ExistingFile, Options
from agegender.core.errors import UserError, unknown
from agegender.core.registry import register
from agegender.core.types import GENDERS
from agegender.data.interfaces import Source
from agegender.data.manifest import Manifest, build_manifest, rejected_rows
from agegender.data.table import read_table

MISSING = ("", "nan", "na", "n/a", "none", "null")
"""What stands for an unknown age or gender, in any case."""


def normal_code(value: object) -> str:
    """A gender code as text; a whole number reads the same as 1, "1" and "1.0"."""
    text = str(value).strip()
    return re.sub(r"^([+-]?\d+)\.0*$", r"\1", text)


def _normal_codes(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    codes = {normal_code(key): gender for key, gender in value.items()}
    if len(codes) < len(value):
        raise ValueError("two of the codes are the same")
    return codes


class Columns(Options):
    """Names in the CSV's header; null where there is no such column."""

    path: str
    age: str | None
    gender: str | None
    group: str | None
    identity: str | None
    split: str | None

    @model_validator(mode="after")
    def _some_label(self) -> Columns:
        if self.age is None and self.gender is None:
            raise ValueError("needs an age column or a gender column")
        return self

    def declared(self) -> dict[str, str]:
        """Manifest column -> CSV column."""
        return {key: name for key, name in self if name is not None}


@register("data", "csv")
class CSV(Source):
    """An id is the CSV's `id` where there is one and no two rows share it, else the path as written."""

    class Options(DataOptions):
        csv: ExistingFile
        root: ExistingDir | None
        columns: Columns
        gender_codes: Annotated[dict[str, Literal["female", "male"]] | None, BeforeValidator(_normal_codes)]

        @field_validator("gender_codes", mode="after")
        @classmethod
        def _codes_are_declared(
            cls, codes: dict[str, str] | None, info: ValidationInfo
        ) -> dict[str, str] | None:
            columns = info.data.get("columns")
            if codes is None and columns is not None and columns.gender is not None:
                raise ValueError(
                    f"say what the codes in column {columns.gender!r} mean, e.g. "
                    "data.gender_codes={0:male,1:female}; or data.columns.gender=null"
                )
            if codes is not None and set(codes.values()) != set(GENDERS):
                raise ValueError("needs a code for female and another one for male")
            return codes

    def __init__(self, options: Options) -> None:
        self.options = options

    def read(self) -> Manifest:
        table = self._table()
        columns = self.options.columns.declared()
        root = self.options.root or self.options.csv.parent
        paths = table[columns["path"]]
        # not pathlib: a million Path objects cost ten seconds
        absolute = [os.path.join(root, path) for path in paths]  # noqa: PTH118
        raw = pd.DataFrame({"id": _ids(table, paths), "path": absolute}, dtype=object)
        for key in ("group", "identity", "split"):
            if key in columns:
                raw[key] = table[columns[key]].str.strip().replace("", None)

        bad = paths == ""
        rejected = [rejected_rows(raw[bad], "no path")]
        if "age" in columns:
            cells = table[columns["age"]].str.strip()
            raw["age"] = pd.to_numeric(cells, errors="coerce")
            unread = raw["age"].isna() & ~_is_missing(cells) & ~bad
            rejected.append(rejected_rows(raw[unread], "unreadable age", cells[unread]))
            bad |= unread
        if "gender" in columns:
            cells = table[columns["gender"]].str.strip()
            raw["gender"] = self._genders(cells)
            unread = raw["gender"].isna() & ~_is_missing(cells) & ~bad
            rejected.append(rejected_rows(raw[unread], "unknown gender", cells[unread]))
            bad |= unread
        terms = f"not stated by the data set ({self.options.csv.name})"
        manifest = build_manifest(raw[~bad], self.options, terms=terms, rejected=rejected)
        self._check_root(manifest, len(table))
        return manifest

    def _table(self) -> pd.DataFrame:
        table = read_table(self.options.csv)
        for key, name in self.options.columns.declared().items():
            if name not in table:
                raise UserError(f"{self.options.csv}: {unknown(f'data.columns.{key}', name, table.columns)}")
        return table

    def _genders(self, cells: pd.Series[str]) -> pd.Series[str]:
        """Names by the declared codes; UserError when not one cell has a declared code."""
        codes = self.options.gender_codes
        assert codes is not None
        names = {cell: codes.get(normal_code(cell)) for cell in cells.unique()}
        genders: pd.Series[str] = cells.map(names)
        filled = cells[~_is_missing(cells)]
        if genders.isna().all() and len(filled):
            found = ", ".join(filled.drop_duplicates()[:5])
            raise UserError(
                f"{self.options.csv}: column {self.options.columns.gender!r} holds {found}; "
                f"data.gender_codes knows {', '.join(codes)}"
            )
        return genders

    def _check_root(self, manifest: Manifest, rows: int) -> None:
        absent = manifest.rejected[manifest.rejected["reason"] == "no such file"]
        if len(absent) == rows:
            raise UserError(
                f"{self.options.csv}: none of its {rows} files exists, e.g. {absent['path'].iloc[0]}; "
                "data.root names the folder that paths start from"
            )


def _ids(table: pd.DataFrame, paths: pd.Series[str]) -> pd.Series[str]:
    if "id" in table and table["id"].is_unique and (table["id"] != "").all():
        return table["id"]
    return paths


def _is_missing(cells: pd.Series[str]) -> pd.Series[bool]:
    return cells.str.lower().isin(MISSING)
