"""Validation after an epoch: both task losses and the watched figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from agegender.core.types import GENDERS
from agegender.data.batches import NO_GENDER, Batch
from agegender.engine.ranks import Ranks
from agegender.engine.step import Forward, task_losses
from agegender.engine.tally import Tally
from agegender.evaluation.metrics import point_metrics
from agegender.models.network import AgeGenderNet

_COLUMNS = ("age", "age_pred", "female_true", "female_prob")


@torch.no_grad()
def validate(
    network: AgeGenderNet,
    forward: Forward,
    batches: Iterable[Batch],
    rmse_cap: float,
    autocast: Callable[[], AbstractContextManager[object]],
    ranks: Ranks,
) -> dict[str, Any]:
    """Columns of the history that start with `val_`; None where the faces have no such label.

    `batches` are this rank's; the figures are those of all ranks' faces, the same on each.
    """
    network.eval()
    tally = Tally()
    columns: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS}
    for batch in batches:
        with autocast():
            outputs = forward(batch.inputs)
            losses_T = torch.stack(task_losses(network, outputs, batch)).tolist()
        tally.add(losses_T, batch.labelled, len(batch))
        gender_B = batch.gender_B.cpu().numpy()
        found = (
            batch.age_B2.cpu().double().numpy(),
            network.age_head.decode(outputs.age_BK).years_B.cpu().double().numpy(),
            np.where(gender_B == NO_GENDER, np.nan, gender_B == GENDERS.index("female")),
            network.gender_head.decode(outputs.gender_B2).cpu().double().numpy(),
        )
        for name, values in zip(_COLUMNS, found, strict=True):
            columns[name].append(values)
    whole, every = Tally(), []
    for theirs, values_by_name in ranks.gather((tally, columns)):
        whole.join(theirs)
        every.append(values_by_name)
    ages_N2, age_pred, female_true, female_prob = (
        np.concatenate([values for part in every for values in part[name]]) for name in _COLUMNS
    )
    figures = point_metrics(ages_N2, age_pred, female_true, female_prob, rmse_cap)
    age_loss, gender_loss = whole.mean_losses()
    return {
        "val_age_loss": age_loss,
        "val_gender_loss": gender_loss,
        "val_age_rmse": figures["age_rmse"],
        "val_gender_f1": figures["gender_f1"],
        "val_harmonic_mean": figures["harmonic_mean"],
    }
