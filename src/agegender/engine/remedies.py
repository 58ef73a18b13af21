"""Remedies against what is rare in train: weights of faces, balanced draws, cells of group-DRO."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter1d

from agegender.balancing.balancer import TASKS
from agegender.config.schema import TrainConfig
from agegender.core.errors import UserError
from agegender.data.dataset import Dataset
from agegender.data.emphasis import Emphasis
from agegender.data.manifest import age_interval, age_midpoint
from agegender.models.grid_head import membership

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

MAX_GROUPS = 100
"""More values than this are names or identities, no groups."""


def build_emphasis(config: TrainConfig, dataset: Dataset) -> Emphasis:
    """What `loss.age_weights`, `group_weights`, `group_dro` and `trainer.sampling` make of the train part.

    Raises UserError where the labels give them nothing to work with.
    """
    rows, size = dataset.part("train"), len(dataset.faces)
    faces = dataset.faces.iloc[rows]
    chance_R = _chances(config, faces)
    weight_R2 = _weights(config, faces, chance_R)
    cell_R, cells = _cells(config, faces)
    notes = []
    if chance_R is not None:
        times = _span(chance_R * len(rows))
        notes.append(f"trainer.sampling={config.trainer.sampling}: an epoch draws a face {times}")
    if weight_R2 is not None:
        notes += [
            f"the {task} loss counts a face {_span(weight_R)}"
            for task, weight_R in zip(TASKS, weight_R2.T, strict=True)
            if np.ptp(weight_R)
        ]
    if cell_R is not None:
        counts = np.bincount(cell_R)
        notes.append(
            f"group-DRO over {len(cells)} cells of group and gender; the smallest, {cells[counts.argmin()]}, "
            f"has {counts.min()} of {len(rows)} train faces"
        )
    return Emphasis(
        weight_N2=None if weight_R2 is None else torch.from_numpy(_in_place(weight_R2, rows, size)).float(),
        chance_N=None if chance_R is None else _in_place(chance_R, rows, size),
        cell_N=None if cell_R is None else torch.from_numpy(_in_place(cell_R, rows, size)),
        cells=cells,
        notes=tuple(notes),
    )


def _chances(config: TrainConfig, faces: pd.DataFrame) -> Floats | None:
    sampling = config.trainer.sampling
    if sampling == "uniform":
        return None
    setting = f"trainer.sampling={sampling}"
    if sampling == "age":
        times_R = age_weights(_checked_ages(faces, setting), 1.0, config.loss.lds_sigma)
    else:
        times_R = group_weights(checked_groups(faces, setting))
    chance_R: Floats = times_R / times_R.sum()
    return chance_R


def _weights(config: TrainConfig, faces: pd.DataFrame, chance_R: Floats | None) -> Floats | None:
    """A column a task, 1 in the mean over the draws that have its label."""
    loss = config.loss
    weight_R2 = np.ones((len(faces), len(TASKS)))
    if loss.age_weights is not None:
        ages_R2 = _checked_ages(faces, f"loss.age_weights={loss.age_weights}")
        power = {"inverse": 1.0, "sqrt_inverse": 0.5}[loss.age_weights]
        weight_R2[:, 0] *= age_weights(ages_R2, power, loss.lds_sigma)
    if loss.group_weights is not None:
        groups = checked_groups(faces, f"loss.group_weights={loss.group_weights}")
        weight_R2 *= group_weights(groups)[:, None]
    if loss.age_weights is None and loss.group_weights is None:
        return None
    has_R2 = np.stack([age_midpoint(faces).notna(), faces["gender"].notna()], axis=1)
    draws_R2 = has_R2 * (np.ones(len(faces)) if chance_R is None else chance_R)[:, None]
    for task in range(len(TASKS)):
        if draws_R2[:, task].any():
            weight_R2[:, task] /= np.average(weight_R2[:, task], weights=draws_R2[:, task])
    return weight_R2


def _cells(config: TrainConfig, faces: pd.DataFrame) -> tuple[Codes | None, tuple[str, ...]]:
    """Each face's place among the cells, and their names."""
    if config.loss.group_dro is None:
        return None, ()
    groups = checked_groups(faces, f"loss.group_dro={config.loss.group_dro:g}")
    named = groups.fillna("unknown") + " " + faces["gender"].fillna("unknown")
    cell_R, names = pd.factorize(named, sort=True)
    return cell_R, tuple(names)


def age_weights(ages_R2: Floats, power: float, sigma: float) -> Floats:
    """Density of each label's ages to the power of -`power` (R,): 1 in the mean, and where no age is known.

    Label distribution smoothing (Yang et al., "Delving into deep imbalanced regression", ICML 2021): the
    density is the number of labels in each whole year, smoothed by a Gaussian `sigma` years wide. A label
    that is an interval counts evenly in its years, and has their mean density.
    """
    weights_R: Floats = np.ones(len(ages_R2))
    known_R = ~np.isnan(ages_R2[:, 0])
    labels_U2, which, counts_U = np.unique(ages_R2[known_R], axis=0, return_inverse=True, return_counts=True)
    ages_A = torch.arange(int(np.floor(labels_U2.min())), int(np.ceil(labels_U2.max())) + 1)
    member_UA = membership(ages_A, torch.from_numpy(labels_U2)).numpy()
    member_UA /= member_UA.sum(1, keepdims=True)
    density_A: Floats = counts_U @ member_UA
    if sigma:
        density_A = gaussian_filter1d(density_A, sigma, mode="constant")
    weights_U = (member_UA @ density_A) ** -power
    weights_R[known_R] = (weights_U * len(which) / (weights_U @ counts_U))[which]
    return weights_R


def group_weights(groups: pd.Series[str]) -> Floats:
    """The inverse of how many faces a group has (R,): 1 in the mean, and where no group is known."""
    counts = groups.value_counts()
    alike = counts.sum() / len(counts)
    return np.asarray((alike / groups.map(counts)).fillna(1.0), np.float64)


def checked_groups(faces: pd.DataFrame, setting: str) -> pd.Series[str]:
    """The faces' groups; UserError where there is nothing to balance, or what is no group."""
    groups = faces["group"]
    counts = groups.value_counts()
    if counts.empty:
        raise UserError(
            f"{setting}: none of the {len(faces)} faces of the train part has a group; take data that have "
            "groups (of data=csv, data.columns.group names the column)"
        )
    if len(counts) == 1:
        raise UserError(
            f"{setting}: {counts.iloc[0]} of the {len(faces)} faces of the train part have a group, and that "
            f"is {counts.index[0]!r} for all of them; there must be two or more"
        )
    if len(counts) > MAX_GROUPS:
        raise UserError(
            f"{setting}: {len(counts)} groups among the {len(faces)} faces of the train part, such as "
            f"{counts.index[0]!r}; allowed: at most {MAX_GROUPS} (are they names or identities?)"
        )
    return groups


def _checked_ages(faces: pd.DataFrame, setting: str) -> Floats:
    ages_R2 = age_interval(faces).to_numpy(float)
    if np.isnan(ages_R2).all():
        raise UserError(f"{setting}: none of the {len(faces)} faces of the train part has an age")
    return ages_R2


def _span(values_R: Floats) -> str:
    """From the least to the most, and how many equal values are as good (Kish's effective sample size)."""
    effective = values_R.sum() ** 2 / np.square(values_R).sum()
    least, most = values_R.min(), values_R.max()
    return f"{least:.2g} to {most:.2g} times (as good as {effective:.0f} of {len(values_R)} alike)"


def _in_place(values_R: npt.NDArray[Any], rows: npt.NDArray[np.intp], size: int) -> npt.NDArray[Any]:
    """Over all faces; 0 for those outside of train."""
    values_N = np.zeros((size, *values_R.shape[1:]), values_R.dtype)
    values_N[rows] = values_R
    return values_N
