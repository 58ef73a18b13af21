"""Honest parts: files of one photo and faces of one identity never straddle two of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import model_validator

from agegender.config.options import Fraction, SplitOptions
from agegender.core.registry import register
from agegender.core.seeding import stream
from agegender.core.types import PARTS
from agegender.data.interfaces import Split
from agegender.data.stratify import Clusters, clusters_needed, require_filled, share_out

_SMALLEST = 0.001


@register("split", "dedup")
class DedupSplit(Split):
    """Stratified by age band x gender x group of each cluster's first face."""

    class Options(SplitOptions):
        train: Fraction
        val: Fraction
        cal: Fraction
        test: Fraction

        @model_validator(mode="after")
        def _shares_add_up(self) -> DedupSplit.Options:
            shares = self.shares()
            total = sum(shares.values())
            if abs(total - 1) > 1e-6:
                raise ValueError(f"the shares of train, val, cal and test must add up to 1, not {total:g}")
            for part, share in shares.items():
                if share < _SMALLEST and (share or part in ("train", "val")):
                    zero = "" if part in ("train", "val") else " or 0"
                    raise ValueError(
                        f"the share of {part} must be at least {_SMALLEST:g}{zero}, not {share:g}"
                    )
            return self

        def shares(self) -> dict[str, float]:
            """Part -> share of the faces."""
            return {part: getattr(self, part) for part in PARTS}

    def __init__(self, options: Options) -> None:
        self.options = options
        self.shares = {part: share for part, share in options.shares().items() if share > 0}

    @property
    def how(self) -> str:
        shares = ", ".join(f"{part} {share:.1%}" for part, share in self.shares.items())
        return (
            f"{shares} of the faces; files of one photo and faces of one identity stay together; stratified "
            f"by age band, gender and group; seed {self.options.seed}"
        )

    def assign(self, faces: pd.DataFrame) -> pd.Series[str]:
        """Raises UserError when there are too few clusters to fill every part."""
        clusters = Clusters(faces, stream(self.options.seed, "split", "dedup"))
        clusters.require(clusters_needed(list(self.shares.values())), self.shares, "split=dedup")
        names = np.array(list(self.shares), dtype=object)
        part = clusters.to_faces(names[share_out(clusters.sizes, list(self.shares.values()))])
        require_filled(part, list(self.shares), clusters, "split=dedup")
        return part
