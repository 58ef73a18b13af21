"""Five honest folds: every face is a test face once, never beside a copy of itself in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import Field

from agegender.config.options import SplitOptions
from agegender.core.registry import register
from agegender.core.seeding import stream
from agegender.data.interfaces import Split
from agegender.data.stratify import Clusters, clusters_needed, require_filled, share_out

FOLDS = 5
_REST = {"train": 0.8, "val": 0.1, "cal": 0.1}


@register("split", "dedup5")
class Dedup5Split(Split):
    """The folds depend on the files and `seed` alone, not on `fold`; stratified as `dedup` is."""

    class Options(SplitOptions):
        fold: int = Field(ge=0, lt=FOLDS, description="the fold that is the test part")

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def how(self) -> str:
        return (
            f"fold {self.options.fold} of {FOLDS} is test, of the rest val {_REST['val']:.0%} and cal "
            f"{_REST['cal']:.0%}; files of one photo and faces of one identity stay together; stratified by "
            f"age band, gender and group; seed {self.options.seed}"
        )

    def assign(self, faces: pd.DataFrame) -> pd.Series[str]:
        """Raises UserError when there are too few clusters to fill every part of every fold."""
        clusters = Clusters(faces, stream(self.options.seed, "split", "dedup5"))
        clusters.require(_faces_needed(), [*_REST, "test"], "split=dedup5")
        fold = share_out(clusters.sizes, [1 / FOLDS] * FOLDS)
        part = np.full(len(fold), "test", dtype=object)
        rest = fold != self.options.fold
        names = np.array(list(_REST), dtype=object)
        part[rest] = names[share_out(clusters.sizes[rest], list(_REST.values()))]
        assigned = clusters.to_faces(part)
        require_filled(assigned, [*_REST, "test"], clusters, f"split=dedup5 split.fold={self.options.fold}")
        return assigned


def _faces_needed() -> int:
    """Single faces of which four folds, the fifth being the largest, fill train, val and cal."""
    need = clusters_needed(list(_REST.values()))
    return next(count for count in range(need, 2 * need + FOLDS) if count - -(-count // FOLDS) >= need)
