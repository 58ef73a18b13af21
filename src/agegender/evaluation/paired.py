"""Two ways to train, judged on the same faces: the difference of their figures, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agegender.core.errors import UserError
from agegender.data.manifest import age_interval
from agegender.evaluation.bootstrap import Floats, bounds, cluster_sums, clusters_of, resampled
from agegender.evaluation.metrics import FIGURES, face_sums, figures_of_sums


@dataclass(frozen=True)
class Difference:
    """A figure of A and of B, and B minus A with its 95 % interval; None where no face has the label."""

    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None


def paired_difference(
    tables_a: Sequence[pd.DataFrame],
    tables_b: Sequence[pd.DataFrame],
    rmse_cap: float = 30.0,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """B minus A for each of FIGURES, by percentile bootstrap over what both share.

    The tables are predictions of one part; `tables_a[i]` and `tables_b[i]` belong to one seed of the
    training, and the figures are means over the seeds. Clusters of faces are drawn anew, with several
    seeds the seeds as well (independently of the faces: Owen's pigeonhole bootstrap, which errs on the
    wide side in faces; of T seeds it knows the spread short by sqrt((T - 1) / T)).
    Raises UserError where the tables do not hold the same faces with the same labels.
    """
    if not tables_a or len(tables_a) != len(tables_b):
        raise UserError(f"runs must come in pairs, one seed each: {len(tables_a)} against {len(tables_b)}")
    tables = aligned([*tables_a, *tables_b])
    clusters = clusters_of(tables[0])
    sums_NK = np.concatenate([face_sums(table) for table in tables], axis=1)
    point = _means(sums_NK.sum(axis=0, keepdims=True), len(tables), rmse_cap, None)
    drawn = None
    if bootstrap:
        samples_RK = np.concatenate(list(resampled(cluster_sums(sums_NK, clusters), bootstrap, seed)))
        drawn = _means(samples_RK, len(tables), rmse_cap, np.random.default_rng([seed, 1]))
    found = {}
    for i, name in enumerate(FIGURES):
        a, b = (None if np.isnan(value) else float(value) for value in point[i, 0])
        low, high = (None, None) if drawn is None else bounds(drawn[i, :, 1] - drawn[i, :, 0])
        found[name] = Difference(a, b, None if a is None or b is None else b - a, low, high)
    return found


def _means(samples_RK: Floats, runs: int, rmse_cap: float, draw: np.random.Generator | None) -> Floats:
    """(figure, sample, A or B): means over the seeds, which `draw` draws anew for each sample."""
    seeds = runs // 2
    figures = figures_of_sums(samples_RK.reshape(len(samples_RK) * runs, -1), rmse_cap)
    shares_RT = np.full((len(samples_RK), seeds), 1 / seeds)
    if draw is not None and seeds > 1:
        shares_RT = draw.multinomial(seeds, shares_RT[0], len(samples_RK)) / seeds
    values = np.stack([figures[name].reshape(-1, 2, seeds) for name in FIGURES])
    means: Floats = np.einsum("frgt,rt->frg", values, shares_RT)
    return means


def aligned(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The tables with their rows in the order of the first one.

    Raises UserError where they do not hold the same faces with the same labels.
    """
    ids = pd.Index(tables[0]["id"])
    if not len(ids):
        raise UserError("there is no face to compare on")
    if not ids.is_unique:
        raise UserError(f"id {ids[ids.duplicated()][0]} stands in several rows: faces cannot be told apart")
    found = []
    for table in tables:
        here = pd.Index(table["id"])
        alone = len(ids.symmetric_difference(here))
        if alone or len(here) != len(ids):
            raise UserError(f"the predictions are of other faces: {alone} ids are on one side only")
        found.append(table.set_index("id").loc[ids].reset_index())
    for table in found[1:]:
        for name, labels in (("age", age_interval), ("gender", lambda table: table[["gender"]])):
            before, now = labels(found[0]), labels(table)
            other = int(((before != now) & ~(before.isna() & now.isna())).any(axis=1).sum())
            if other:
                raise UserError(f"the {name} of {other} of {len(ids)} faces is labelled otherwise")
    return found
