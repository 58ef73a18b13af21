"""The published split: scikit-learn's `train_test_split` over the rows as listed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from agegender.config.options import SplitOptions
from agegender.core.errors import UserError
from agegender.core.registry import register
from agegender.data.interfaces import Split


@register("split", "random")
class RandomSplit(Split):
    """Train and val alone; duplicates and identities may lie in both."""

    notes: ClassVar[tuple[str, ...]] = (
        "split=random: the model is selected and scored on the same faces (no test part)",
    )

    class Options(SplitOptions):
        test_size: float = Field(gt=0, lt=1, description="share of the val part")

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def how(self) -> str:
        size, seed = self.options.test_size, self.options.seed
        return f"scikit-learn's train_test_split of the rows as listed, val {size:.1%}, random_state {seed}"

    def assign(self, faces: pd.DataFrame) -> pd.Series[str]:
        from sklearn.model_selection import train_test_split

        try:
            _, val = train_test_split(
                np.arange(len(faces)), test_size=self.options.test_size, random_state=self.options.seed
            )
        except ValueError as error:
            raise UserError(
                f"split=random with split.test_size={self.options.test_size:g} leaves nothing to train on: "
                f"needs at least 2 faces, found {len(faces)}"
            ) from error
        part = np.full(len(faces), "train", dtype=object)
        part[val] = "val"
        return pd.Series(part, index=faces.index, dtype=object)
