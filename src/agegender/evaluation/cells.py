"""The figures of cells of faces, such as the women of one group, and of their resamples.

They follow from sums over a cell's faces, so that those of all cells in all resamples are products of
matrices. The tests hold them to fairlearn's MetricFrame (Weerts et al., JMLR 2023), which would call a
function for each cell, figure and resample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from agegender.data.manifest import age_interval
from agegender.evaluation.age_figures import age_error
from agegender.evaluation.axes import Axis
from agegender.evaluation.bootstrap import Floats, bounds, clusters_of, resampled_weights
from agegender.evaluation.metrics import face_sums, figures_of_sums
from agegender.evaluation.proportion import clopper_pearson

FIGURES = (
    "age_rmse", "age_mae", "age_bias", "age_cs_5", "age_coverage", "gender_f1", "gender_accuracy",
)  # fmt: skip
"""`age_bias` is the mean signed error, `age_cs_5` the share of errors of at most 5 years, `age_coverage` the
share of labelled ages that `age_low` to `age_high` meets."""

_SHARES = ("age_cs_5", "age_coverage", "gender_accuracy")
"""Those that are shares of a cell's faces."""

_NEEDS = ("age", "age", "age", "age", "range", "gender", "gender")
"""What a face must have to count in each of FIGURES."""

_OWN = ("face", "age", "gender", "range", "female", "signed", "within", "covered")
"""What a face adds beside the sums of `metrics`."""

_WITHIN = 5
_TOO_FEW_LISTED = 100
"""Cells of an axis up to which those with too few faces are listed as well."""
_MOST = 2000
"""Cells of an axis: what is kept in memory grows with cells times resamples."""


@dataclass(frozen=True)
class Cells:
    """Cells with what was found in them; years, shares from 0 to 1."""

    table: pd.DataFrame
    """A row a cell: axis, cell, n, n_age, n_gender, clusters."""
    found_KF: Floats
    """FIGURES; NaN where a cell has too few faces for one."""
    clusters_KF: Floats
    """Clusters of the faces behind each figure."""
    drawn_RKF: Floats
    """Those of the resamples, R of them or none."""

    def bounds(self) -> tuple[Floats, Floats]:
        """Lower and upper ends of the 95 % percentile intervals, (K, F) each; NaN without resamples.

        A share of 0 or 1 is the same in every resample: there the interval is Clopper and Pearson's.
        """
        low_KF, high_KF = np.full((2, *self.found_KF.shape), np.nan)
        if not len(self.drawn_RKF):
            return low_KF, high_KF
        whole_KF = ~np.isnan(self.drawn_RKF).any(axis=0)
        if whole_KF.any():
            whole_RX = self.drawn_RKF[:, whole_KF]
            low_KF[whole_KF], high_KF[whole_KF] = np.percentile(whole_RX, [2.5, 97.5], axis=0)
        for k, f in np.argwhere(~np.isnan(self.drawn_RKF).all(axis=0) & ~whole_KF):
            low_KF[k, f], high_KF[k, f] = bounds(self.drawn_RKF[:, k, f])
        same_KF = np.isin(FIGURES, _SHARES) & np.isin(self.found_KF, (0, 1))
        exact = clopper_pearson(self.found_KF[same_KF], self.clusters_KF[same_KF])
        low_KF[same_KF], high_KF[same_KF] = exact
        return low_KF, high_KF


def judge_cells(
    table: pd.DataFrame, axes: Sequence[Axis], min_group: int, bootstrap: int, seed: int
) -> tuple[Cells, list[str]]:
    """The cells of all axes, and sentences on those that are left out.

    A cell has a figure where at least `min_group` clusters of its faces have the label. In a cell of one
    labelled gender `gender_accuracy` is the recall of that gender, and there is no F1, half of which would be
    that of an absent class. Resamples are of clusters, the same for all cells.
    """
    clusters = clusters_of(table)
    cells, members_KA, atoms = _members(axes)
    sums_SAC = [csr_array((values_N, (atoms, clusters))) for values_N in _face_sums(table)]
    for matrix in sums_SAC:
        matrix.eliminate_zeros()
    counts = dict(zip(_OWN, (members_KA @ sums_AC for sums_AC in sums_SAC[-len(_OWN) :]), strict=True))
    for name, column in {"face": "n", "age": "n_age", "gender": "n_gender"}.items():
        cells[column] = counts[name].sum(axis=1).astype(np.int64)
    cells["clusters"] = counts["face"].count_nonzero(axis=1)
    clusters_KF = np.column_stack([counts[name].count_nonzero(axis=1) for name in _NEEDS])
    listed, notes = _listed(cells, clusters_KF.max(axis=1) >= min_group, min_group)
    cells = cells[listed].reset_index(drop=True)
    members_KA, clusters_KF = members_KA[listed], clusters_KF[listed]
    has_KF = clusters_KF >= min_group
    everyone_1C = np.ones((1, sums_SAC[0].shape[1]))
    found_KF = np.where(has_KF, _figures(members_KA, sums_SAC, everyone_1C)[0], np.nan)
    drawn_RKF = np.full((bootstrap, *found_KF.shape), np.nan)
    judged = has_KF.any(axis=1)
    if bootstrap and judged.any():
        weights = resampled_weights(everyone_1C.shape[1], bootstrap, seed)
        drawn = [_figures(members_KA[judged], sums_SAC, weights_RC) for weights_RC in weights]
        drawn_RKF[:, judged] = np.where(has_KF[judged], np.concatenate(drawn), np.nan)
    return Cells(cells, found_KF, clusters_KF.astype(np.float64), drawn_RKF), notes


def _members(axes: Sequence[Axis]) -> tuple[pd.DataFrame, csr_array, npt.NDArray[np.intp]]:
    """axis and cell of every cell; which atoms it holds, (K, A) of 0 and 1; each face's atom, (N,).

    An atom is what no axis tells apart: cells are made of few atoms, atoms of many faces.
    """
    atoms_AX, atoms = np.unique(np.column_stack([axis.codes_N for axis in axes]), axis=0, return_inverse=True)
    before_X = np.cumsum([0, *(len(axis.cells) for axis in axes)])
    atom, axis = np.nonzero(atoms_AX >= 0)
    where = (atoms_AX[atom, axis] + before_X[axis], atom)
    names = [(axis.name, cell) for axis in axes for cell in axis.cells]
    members_KA = csr_array((np.ones(len(atom)), where), shape=(len(names), len(atoms_AX)))
    return pd.DataFrame(names, columns=["axis", "cell"]), members_KA, atoms


def _face_sums(table: pd.DataFrame) -> Floats:
    """What each face adds, (S, N): the sums of `metrics`, then _OWN."""
    ages_N2 = age_interval(table).to_numpy(np.float64)
    error_N = age_error(ages_N2, table["age_pred"].to_numpy(np.float64))
    has_age = ~np.isnan(error_N)
    low_N, high_N = table["age_low"].to_numpy(np.float64), table["age_high"].to_numpy(np.float64)
    own = (
        np.ones(len(table)),
        has_age,
        table["gender"].notna(),
        has_age & ~np.isnan(low_N) & ~np.isnan(high_N),
        table["gender"] == "female",
        np.where(has_age, error_N, 0),
        np.abs(error_N) <= _WITHIN,
        (low_N <= ages_N2[:, 1]) & (ages_N2[:, 0] <= high_N),
    )
    return np.vstack([face_sums(table).T, *(np.asarray(values, np.float64) for values in own)])


def _figures(members_KA: csr_array, sums_SAC: Sequence[csr_array], weights_RC: Floats) -> Floats:
    """FIGURES of each weighting of the clusters, (R, K, F)."""
    weights_CR = np.ascontiguousarray(weights_RC.T)
    sums_SKR = np.stack([members_KA @ (sums_AC @ weights_CR) for sums_AC in sums_SAC])
    _, age, gender, has_range, female, signed, within, covered = sums_SKR[-len(_OWN) :]
    shared = sums_SKR[: -len(_OWN)].reshape(len(sums_SAC) - len(_OWN), -1).T
    found = {name: values.reshape(age.shape) for name, values in figures_of_sums(shared, 1.0).items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        found["age_bias"], found["age_cs_5"] = signed / age, within / age
        found["age_coverage"] = covered / has_range
    found["gender_f1"] = np.where((female > 0) & (female < gender), found["gender_f1"], np.nan)
    return np.stack([found[name].T for name in FIGURES], axis=-1)


def _listed(
    cells: pd.DataFrame, is_judged: npt.NDArray[np.bool_], min_group: int
) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Which cells are listed; an axis of very many has those with enough faces alone, the largest."""
    listed, notes = np.ones(len(cells), bool), []
    for axis, rows in cells.groupby("axis", sort=False).groups.items():
        if len(rows) <= _TOO_FEW_LISTED:
            continue
        judged = rows[is_judged[rows]]
        kept = cells.loc[judged, "n"].nlargest(_MOST).index
        listed[rows.difference(kept)] = False
        if len(judged) < len(rows):
            few = f"{len(rows) - len(judged):,} of {len(rows):,} cells have fewer than {min_group} faces"
            notes.append(f"By {axis}, {few} (without copies) and are not listed.")
        if len(kept) < len(judged):
            notes.append(f"By {axis}, the {_MOST:,} largest of {len(judged):,} cells are judged.")
    return listed, notes
