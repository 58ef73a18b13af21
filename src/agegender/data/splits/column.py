"""The parts that the data set itself declares."""

from __future__ import annotations

import pandas as pd

from agegender.config.options import SplitOptions
from agegender.core.errors import UserError
from agegender.core.registry import register
from agegender.core.types import PARTS
from agegender.data.interfaces import Split

WORDS = {**{part: part for part in PARTS}, "valid": "val", "validation": "val", "dev": "val"}


@register("split", "column")
class ColumnSplit(Split):
    """The manifest's `split` column, in any case."""

    class Options(SplitOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def how(self) -> str:
        return "as the data declare it"

    def assign(self, faces: pd.DataFrame) -> pd.Series[str]:
        """Raises UserError for faces without a word, for an unknown word, without train or without val."""
        words = faces["split"]
        empty = int(words.isna().sum())
        if empty == len(words):
            raise UserError(
                "split=column: the data declare no parts (data=csv: data.columns.split names their column)"
            )
        if empty:
            first = faces.loc[words.isna(), "id"].iloc[0]
            raise UserError(
                f"split=column: {empty} of {len(words)} faces have no word in their split column, "
                f"e.g. {first}"
            )
        part = words.str.strip().str.lower().map(WORDS)
        if part.isna().any():
            odd = ", ".join(repr(word) for word in sorted(set(words[part.isna()]))[:5])
            raise UserError(f"split=column: {odd} is no part (known: {', '.join(WORDS)})")
        for name in ("train", "val"):
            if not (part == name).any():
                found = ", ".join(sorted(set(words))[:5])
                raise UserError(f"split=column: no face is in {name}; the column holds {found}")
        return part.astype(object)
