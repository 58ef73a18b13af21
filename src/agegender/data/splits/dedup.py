"""Honest parts: copies of a file and faces of one identity never straddle two of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import model_validator

from agegender.config.options import Fraction, SplitOptions
from agegender.core.errors import UserError
from agegender.core.registry import register
from agegender.core.seeding import stream
from agegender.core.types import PARTS
from agegender.data.interfaces import Split
from agegender.data.manifest import age_target

AGE_BANDS = (3, 10, 20, 30, 40, 50, 60, 70)
"""Years at which a new stratum begins."""
_SMALLEST = 0.001


@register("split", "dedup")
class DedupSplit(Split):
    """Stratified by age band x gender of each cluster's first face; the order of listing is irrelevant."""

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

    def assign(self, faces: pd.DataFrame) -> pd.Series[str]:
        """Raises UserError when there are too few clusters to fill every part."""
        shares = {part: share for part, share in self.options.shares().items() if share > 0}
        # content before name: the same files under other names or in another order get the same parts
        by_content = faces.sort_values(["sha256", "id"], kind="stable")
        cluster, _ = pd.factorize(by_content["cluster"])  # numbered by first appearance in this order
        sizes = np.bincount(cluster)
        need = _clusters_needed(shares)
        if len(sizes) < need:
            raise UserError(
                f"split=dedup needs at least {need} different faces to fill {', '.join(shares)}; "
                f"found {len(sizes)} among {len(faces)} files"
            )
        firsts = by_content.iloc[np.unique(cluster, return_index=True)[1]]
        order = _stratified_order(_strata(firsts), stream(self.options.seed, "split", "dedup"))
        part_of = np.empty(len(sizes), dtype=np.intp)
        part_of[order] = _share_out(sizes[order], list(shares.values()))
        names = np.array(list(shares), dtype=object)
        part = pd.Series(names[part_of[cluster]], index=by_content.index, dtype=object).reindex(faces.index)
        for name in shares:
            if not (part == name).any():
                raise UserError(
                    f"split=dedup leaves no face for {name}: the largest cluster of copies or of one "
                    f"identity holds {sizes.max()} of {len(faces)} faces"
                )
        return part


def _strata(firsts: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Age band and gender as a key to sort by; unknown ages and genders are strata of their own."""
    age = age_target(firsts)
    band = np.where(age.isna(), -1, np.digitize(age.fillna(0), AGE_BANDS))
    return np.array([f"{b:02d} {g or ''}" for b, g in zip(band, firsts["gender"], strict=True)])


def _stratified_order(strata: npt.NDArray[np.str_], rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Stratum after stratum, in random order inside each."""
    shuffled = rng.permutation(len(strata))
    return shuffled[np.argsort(strata[shuffled], kind="stable")]


def _share_out(sizes: npt.NDArray[np.intp], shares: list[float]) -> list[int]:
    """Position of the part for each cluster in turn: the one that most lacks faces of those seen so far.

    Any run of clusters, hence any stratum, so gets each part's share to within a face or two, and the
    remainders of small strata even out instead of all falling to the largest part.
    """
    seen = 0
    held = [0] * len(shares)
    chosen = []
    for size in sizes.tolist():
        seen += size
        lacks = [share * seen - has for share, has in zip(shares, held, strict=True)]
        part = lacks.index(max(lacks))
        held[part] += size
        chosen.append(part)
    return chosen


def _clusters_needed(shares: dict[str, float]) -> int:
    """How many single faces `_share_out` must see before no part is empty."""
    longest = 10 * int(1 / min(shares.values()) + 1)
    chosen = _share_out(np.ones(longest, dtype=np.intp), list(shares.values()))
    return max(chosen.index(part) for part in range(len(shares))) + 1
