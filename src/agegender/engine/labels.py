"""What the labels of a data set are, as its training needs to know; what cannot be learned is refused."""

from __future__ import annotations

import numpy as np

from agegender.config.loss import LossOptions
from agegender.config.schema import TrainConfig
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.types import GENDERS, LabelSpec
from agegender.data.dataset import Dataset
from agegender.data.manifest import age_interval, age_midpoint
from agegender.models.gender_head import GenderLoss
from agegender.models.head import AgeHead

_NEEDS = {
    "harmonic_mean": ("age", "gender"),
    "age_rmse": ("age",),
    "gender_f1": ("gender",),
}


def label_spec(config: TrainConfig, dataset: Dataset) -> LabelSpec:
    """What the labels are; raises UserError when train or val lacks labels that training needs."""
    ages = age_midpoint(dataset.faces).to_numpy(float)
    has = {"age": ~np.isnan(ages), "gender": dataset.faces["gender"].notna().to_numpy()}
    for task in _NEEDS[config.trainer.monitor]:
        for part in ("train", "val"):
            if not has[task][dataset.part(part)].any():
                others = [name for name, tasks in _NEEDS.items() if task not in tasks]
                raise UserError(
                    f"trainer.monitor={config.trainer.monitor}: no face of the {part} part has a label for "
                    f"{task}; label some, or watch {' or '.join(others)}"
                )
    for task in registry.find("balancer", config.balancer.name).trained:
        if not has[task][dataset.part("train")].any():
            raise UserError(
                f"balancer={config.balancer.name}: no face of the train part has a label for {task}; label "
                "some, or train on what there is with balancer=fixed"
            )
    genders = train_genders(dataset)
    if len(genders) == 1 and config.loss.lambda_ > 0:
        raise UserError(
            f"one gender only: every labelled face of the train part is {genders[0]}, so gender cannot be "
            "learned; add faces of the other, or train age alone with loss.lambda=0"
        )
    known = ages[dataset.part("train")]
    known = known[~np.isnan(known)]
    low_N, high_N = _train_intervals(dataset)
    # an interval counts evenly over its years
    spread_N5 = low_N[:, None] + (high_N - low_N)[:, None] * np.linspace(0.1, 0.9, 5)
    return LabelSpec(
        age_min=config.data.age_min,
        age_max=config.data.age_max,
        age_mean=float(known.mean()) if len(known) else 0.0,
        age_std=max(float(known.std()), 1.0) if len(known) else 1.0,
        age_quantiles=tuple(np.percentile(spread_N5, range(101)).tolist()) if len(known) else (),
    )


def _train_intervals(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the train part's age labels in years, the same where an age is exact; without missing ones."""
    ends = age_interval(dataset.faces.iloc[dataset.part("train")]).dropna().to_numpy(float)
    return ends[:, 0], ends[:, 1]


def check_age_range(head: AgeHead, config: TrainConfig, dataset: Dataset) -> None:
    """Raises UserError for labels of the train part that the head cannot say."""
    low, high = head.age_range
    low_N, high_N = _train_intervals(dataset)
    outside = np.flatnonzero((low_N > high) | (high_N < low))
    if len(outside):
        first, last = low_N[outside[0]], high_N[outside[0]]
        example = f"{first:g}" if first == last else f"{first:g} to {last:g}"
        raise UserError(
            f"age_head={config.age_head.name}: {len(outside)} of {len(low_N)} ages of the train part lie "
            f"outside its range of {low:g} to {high:g} years, such as {example}; widen age_head.age_range, "
            "or leave such faces out by data.age_min and data.age_max"
        )


def gender_loss(loss: LossOptions, dataset: Dataset) -> GenderLoss:
    """The criterion, with the weights that the train part's genders ask for."""
    weights = loss.class_weights
    if weights == "balanced":  # of mean 1 over the train part's faces
        genders = dataset.faces.loc[dataset.part("train"), "gender"]
        counts = [max(int((genders == name).sum()), 1) for name in GENDERS]
        weights = [sum(counts) / (len(counts) * count) for count in counts]
    return GenderLoss(
        loss.label_smoothing, None if weights is None else (weights[0], weights[1]), loss.focal_gamma
    )


def train_genders(dataset: Dataset) -> list[str]:
    """The genders that occur in the train part."""
    return sorted(dataset.faces.loc[dataset.part("train"), "gender"].dropna().unique())
