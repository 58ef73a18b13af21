"""From a network and batches to what predictions.csv and posterior.npz hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from agegender.data.batches import Batch
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.posterior import Posterior, write_posterior
from agegender.evaluation.table import COLUMNS, write_predictions
from agegender.models.network import AgeGenderNet

PREDICTED = ("age_pred", "age_std", "gender_pred", "gender_prob")


@dataclass(frozen=True)
class Predicted:
    """What a network says, a row a face."""

    columns: pd.DataFrame
    """The columns of `PREDICTED`."""
    posterior: Posterior | None
    """None where the age head has none."""

    @classmethod
    def join(cls, parts: Sequence[Predicted]) -> Predicted:
        """The faces of all parts, of one network, in their order."""
        columns = pd.concat([part.columns for part in parts], ignore_index=True)
        posteriors = [part.posterior for part in parts if part.posterior is not None]
        if not posteriors:
            return cls(columns, None)
        masses_NA = np.concatenate([posterior.posterior_NA for posterior in posteriors])
        return cls(columns, Posterior(posteriors[0].ages_A, masses_NA))


@torch.no_grad()
def predict(
    network: AgeGenderNet, batches: Iterable[Batch], autocast: AbstractContextManager[object]
) -> Predicted:
    """A row a face in batch order; the network is put into eval mode."""
    network.eval()
    ages_A = network.age_head.ages_A
    years, stds, posteriors, probabilities = [], [], [], []
    for batch in batches:
        with autocast:
            outputs = network(batch.inputs)
        estimate = network.age_head.decode(outputs.age_BK)
        years.append(estimate.years_B.cpu().double().numpy())
        if estimate.std_B is not None:
            stds.append(estimate.std_B.cpu().double().numpy())
        if estimate.posterior_BA is not None:
            posteriors.append(estimate.posterior_BA.float().cpu().numpy())
        probabilities.append(network.gender_head.decode(outputs.gender_B2).cpu().double().numpy())
    female_prob = np.concatenate(probabilities) if probabilities else np.empty(0)
    columns = pd.DataFrame(
        {
            "age_pred": np.concatenate(years) if years else np.empty(0),
            "age_std": np.concatenate(stds) if stds else np.nan,
            "gender_pred": np.where(female_prob >= 0.5, "female", "male"),
            "gender_prob": female_prob,
        }
    )
    if ages_A is None:
        return Predicted(columns, None)
    none_0A = np.empty((0, len(ages_A)), np.float32)
    return Predicted(columns, Posterior(ages_A.cpu().numpy(), np.concatenate([none_0A, *posteriors])))


def predictions_table(faces: pd.DataFrame, predicted: Predicted) -> pd.DataFrame:
    """What is known of labelled faces (their part becomes `split`) beside what is said of them."""
    table = faces.drop(columns="split").rename(columns={"part": "split"}).reset_index(drop=True)
    return table.join(predicted.columns).reindex(columns=list(COLUMNS))


def write_predicted(
    directory: Path, faces: pd.DataFrame, predicted: Predicted, calibration: Calibration | None
) -> None:
    """Write predictions.csv of labelled faces, and what there is of calibration.json and posterior.npz."""
    table = predictions_table(faces, predicted)
    if calibration is not None:
        table = calibration.apply(table)
        calibration.write(directory)
    write_predictions(table, directory / "predictions.csv")
    if predicted.posterior is not None:
        write_posterior(table["id"].tolist(), predicted.posterior, directory / "posterior.npz")
