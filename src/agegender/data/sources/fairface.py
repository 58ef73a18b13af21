"""FairFace (Karkkainen and Joo, WACV 2021): two label files, ages in nine bins."""

from __future__ import annotations

import os

import pandas as pd
from pydantic import Field

from agegender.config.options import DataOptions, ExistingDir
from agegender.core.errors import UserError, unknown
from agegender.core.registry import register
from agegender.data.interfaces import Source
from agegender.data.manifest import Manifest, build_manifest, rejected_rows
from agegender.data.table import read_table

LABEL_FILES = {"train": "fairface_label_train.csv", "val": "fairface_label_val.csv"}
BINS = {
    "0-2": (0, 2),
    "3-9": (3, 9),
    "10-19": (10, 19),
    "20-29": (20, 29),
    "30-39": (30, 39),
    "40-49": (40, 49),
    "50-59": (50, 59),
    "60-69": (60, 69),
}
OPEN_BIN = "more than 70"
GENDERS = {"Female": "female", "Male": "male"}


@register("data", "fairface")
class FairFace(Source):
    """The folder as published; an id is the `file` of its row, group its race in lower case."""

    class Options(DataOptions):
        root: ExistingDir
        top_age: float = Field(gt=70, le=150, description="years; the upper end of the bin 'more than 70'")

    def __init__(self, options: Options) -> None:
        self.options = options

    def read(self) -> Manifest:
        table = self._labels()
        bins = {**BINS, OPEN_BIN: (70, self.options.top_age)}
        raw = pd.DataFrame(
            {
                "id": table["file"],
                "path": str(self.options.root) + os.sep + table["file"],
                "age_min": table["age"].map({name: low for name, (low, _) in bins.items()}),
                "age_max": table["age"].map({name: high for name, (_, high) in bins.items()}),
                "gender": table["gender"].map(GENDERS),
                "group": table["race"].str.lower().replace("", None),
                "split": table["split"],
            }
        )
        bad_age = raw["age_min"].isna() & (table["age"] != "")
        bad_gender = raw["gender"].isna() & (table["gender"] != "") & ~bad_age
        rejected = [
            rejected_rows(raw[bad_age], "unknown age bin", table["age"][bad_age]),
            rejected_rows(raw[bad_gender], "unknown gender", table["gender"][bad_gender]),
        ]
        return build_manifest(
            raw[~bad_age & ~bad_gender],
            self.options,
            terms="CC BY 4.0 (FairFace)",
            notes=(
                "FairFace gives ages as intervals; an error is the distance to the interval "
                f"('{OPEN_BIN}' is 70 to {self.options.top_age:g} years)",
            ),
            rejected=rejected,
        )

    def _labels(self) -> pd.DataFrame:
        root = self.options.root
        tables = []
        for split, name in LABEL_FILES.items():
            if not (root / name).is_file():
                continue
            table = read_table(root / name)
            for column in ("file", "age", "gender", "race"):
                if column not in table:
                    raise UserError(f"{root / name}: {unknown('column', column, table.columns)}")
            tables.append(table.assign(split=split))
        if not tables:
            raise UserError(f"data.root={root} holds none of {', '.join(LABEL_FILES.values())}")
        return pd.concat(tables, ignore_index=True)
