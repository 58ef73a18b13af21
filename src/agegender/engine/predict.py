"""From a network and batches to columns of the predictions table."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

import numpy as np
import pandas as pd
import torch

from agegender.data.batches import Batch
from agegender.evaluation.table import COLUMNS
from agegender.models.network import AgeGenderNet

PREDICTED = ("age_pred", "age_std", "gender_pred", "gender_prob")


@torch.no_grad()
def predict(
    network: AgeGenderNet, batches: Iterable[Batch], autocast: AbstractContextManager[object]
) -> pd.DataFrame:
    """A row a face in batch order: the columns of `PREDICTED`; the network is put into eval mode."""
    network.eval()
    years, stds, probabilities = [], [], []
    for batch in batches:
        with autocast:
            outputs = network(batch.inputs)
        estimate = network.age_head.decode(outputs.age_BK)
        years.append(estimate.years_B.cpu().double().numpy())
        if estimate.std_B is not None:
            stds.append(estimate.std_B.cpu().double().numpy())
        probabilities.append(network.gender_head.decode(outputs.gender_B2).cpu().double().numpy())
    female_prob = np.concatenate(probabilities) if probabilities else np.empty(0)
    return pd.DataFrame(
        {
            "age_pred": np.concatenate(years) if years else np.empty(0),
            "age_std": np.concatenate(stds) if stds else np.nan,
            "gender_pred": np.where(female_prob >= 0.5, "female", "male"),
            "gender_prob": female_prob,
        }
    )


def predictions_table(faces: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """The predictions table of labelled faces (their part becomes `split`)."""
    table = faces.drop(columns="split").rename(columns={"part": "split"}).reset_index(drop=True)
    return table.join(predicted).reindex(columns=list(COLUMNS))
