"""Validation after an epoch: both task losses and the watched figures."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from agegender.core.types import GENDERS
from agegender.data.batches import NO_GENDER, Batch
from agegender.engine.step import task_losses
from agegender.engine.tally import Tally
from agegender.evaluation.metrics import point_metrics
from agegender.models.network import AgeGenderNet


@torch.no_grad()
def validate(
    network: AgeGenderNet,
    batches: Iterable[Batch],
    rmse_cap: float,
    autocast: AbstractContextManager[object],
) -> dict[str, Any]:
    """Columns of the history that start with `val_`; None where the faces have no such label."""
    network.eval()
    tally = Tally()
    age_true, age_pred, female_true, female_prob = [], [], [], []
    for batch in batches:
        with autocast:
            outputs = network(batch.images_BCHW)
            losses_T = torch.stack(task_losses(network, outputs, batch)).tolist()
        tally.add(losses_T, batch.labelled, len(batch))
        gender_B = batch.gender_B.cpu().numpy()
        age_true.append(batch.age_B.cpu().double().numpy())
        age_pred.append(network.age_head.decode(outputs.age_BK).years_B.cpu().double().numpy())
        female_true.append(np.where(gender_B == NO_GENDER, np.nan, gender_B == GENDERS.index("female")))
        female_prob.append(network.gender_head.decode(outputs.gender_B2).cpu().double().numpy())
    age_loss, gender_loss = tally.mean_losses()
    figures = point_metrics(
        np.concatenate(age_true),
        np.concatenate(age_pred),
        np.concatenate(female_true),
        np.concatenate(female_prob),
        rmse_cap,
    )
    return {
        "val_age_loss": age_loss,
        "val_gender_loss": gender_loss,
        "val_age_rmse": figures["age_rmse"],
        "val_gender_f1": figures["gender_f1"],
        "val_harmonic_mean": figures["harmonic_mean"],
    }
