"""Sharing clusters out to parts so that every age band, gender and group gets its share of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.errors import UserError
from agegender.core.types import PARTS
from agegender.data.age_bands import AGE_BANDS, age_bands, band_name


class Clusters:
    """The clusters of `faces` in stratified order: size, age band, gender, group; random inside a stratum.

    A cluster is in the stratum of its first face. Sizes count by powers of two, large ones first: among
    single faces a larger cluster would always fall to the part with the largest share, and faces that have
    copies would be missing from the others. Content goes before name: the same files under other names or
    in another order are shared out alike.
    """

    def __init__(self, faces: pd.DataFrame, rng: np.random.Generator) -> None:
        self._by_content = faces.sort_values(["sha256", "id"], kind="stable")
        self._index = faces.index
        cluster_F, _ = pd.factorize(self._by_content["cluster"])  # numbered by first appearance in this order
        firsts = self._by_content.iloc[np.unique(cluster_F, return_index=True)[1]]
        magnitude = np.frexp(np.bincount(cluster_F))[1]  # 1, 2 to 3, 4 to 7, ...
        order = _stratified_order(_strata(firsts), magnitude, rng)
        place = np.empty(len(order), dtype=np.intp)
        place[order] = np.arange(len(order))
        self._cluster_F = place[cluster_F]
        self.sizes = np.bincount(self._cluster_F)
        """Faces of each cluster, in stratified order."""

    def to_faces(self, parts: npt.NDArray[np.object_]) -> pd.Series[str]:
        """A part for each cluster, in stratified order -> a part for each face."""
        chosen = parts[self._cluster_F]
        return pd.Series(chosen, index=self._by_content.index, dtype=object).reindex(self._index)

    def require(self, need: int, parts: Iterable[str], what: str) -> None:
        """Raises UserError, which begins with `what`, when there are fewer than `need` clusters."""
        if len(self.sizes) < need:
            raise UserError(
                f"{what} needs at least {need} different faces to fill {', '.join(parts)}; "
                f"found {len(self.sizes)} among {self.sizes.sum()} files"
            )


def share_out(sizes: npt.NDArray[np.intp], shares: Sequence[float]) -> npt.NDArray[np.intp]:
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
    return np.array(chosen, dtype=np.intp)


def clusters_needed(shares: Sequence[float]) -> int:
    """How many single faces `share_out` must see before no part is empty."""
    longest = 10 * int(1 / min(shares) + 1)
    chosen = share_out(np.ones(longest, dtype=np.intp), shares).tolist()
    return 1 + max(int(chosen.index(part)) for part in range(len(shares)))


def require_filled(part: pd.Series[str], names: Sequence[str], clusters: Clusters, what: str) -> None:
    """Raises UserError, which begins with `what`, when a part has no face."""
    for name in names:
        if not (part == name).any():
            raise UserError(
                f"{what} leaves no face for {name}: the largest cluster of copies or of one "
                f"identity holds {clusters.sizes.max()} of {len(part)} faces"
            )


def balance(faces: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """Axis (age, gender, group) -> band or name -> faces in `all` and in each part."""
    band = age_bands(faces)
    axes: dict[str, pd.Series[Any]] = {
        "age": band.map(band_name).astype(
            pd.CategoricalDtype([band_name(number) for number in range(len(AGE_BANDS) + 1)])
        ),
        "gender": faces["gender"],
        "group": faces["group"],
    }
    found: dict[str, dict[str, dict[str, int]]] = {}
    for axis, values in axes.items():
        counts = pd.crosstab(values, faces["part"])
        found[axis] = {
            str(name): {"all": int(row.sum())} | {part: int(row[part]) for part in PARTS if part in row}
            for name, row in counts.iterrows()
        }
    return found


def _strata(firsts: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Age band, gender and group as a key to sort by; unknown ones are strata of their own."""
    columns = zip(age_bands(firsts), firsts["gender"], firsts["group"], strict=True)
    return np.array([f"{band:02d} {gender or ''} {group or ''}" for band, gender, group in columns])


def _stratified_order(
    strata: npt.NDArray[np.str_], magnitude: npt.NDArray[np.intc], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Large clusters before small ones, stratum after stratum, in random order inside each."""
    shuffled = rng.permutation(len(strata))
    return shuffled[np.lexsort((strata[shuffled], -magnitude[shuffled]))]
