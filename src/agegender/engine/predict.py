"""From a network and batches to what predictions.csv and posterior.npz hold."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from agegender.data.batches import Batch
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.ensemble import averaged
from agegender.evaluation.posterior import Posterior, write_posterior
from agegender.evaluation.predicted import Floats, Predicted
from agegender.evaluation.table import COLUMNS, SEVERAL, write_predictions
from agegender.models.network import AgeGenderNet, Outputs
from agegender.models.uncertainty.uncertainty import Uncertainty


@torch.no_grad()
def predict(
    network: AgeGenderNet,
    batches: Iterable[Batch],
    autocast: AbstractContextManager[object],
    uncertainty: Uncertainty,
) -> Predicted:
    """A row a face in batch order, each the mean of all passes; the network is put into eval mode."""
    network.eval()
    parts = [_nothing(network, uncertainty)]
    for batch in batches:
        with autocast:
            passes = list(uncertainty.passes(network, batch.inputs))
        parts.append(averaged([_said(network, outputs) for outputs in passes], network.age_head.answer))
    return Predicted.join(parts)


def _said(network: AgeGenderNet, outputs: Outputs) -> Predicted:
    """What one pass says of a batch."""
    estimate = network.age_head.decode(outputs.age_BK)
    years_B, ages_A = _numbers(estimate.years_B), network.age_head.ages_A
    posterior = None
    if estimate.posterior_BA is not None and ages_A is not None:
        posterior = Posterior(ages_A.cpu().numpy(), estimate.posterior_BA.float().cpu().numpy())
    return Predicted(
        years_B,
        np.full_like(years_B, np.nan) if estimate.std_B is None else _numbers(estimate.std_B),
        _numbers(network.gender_head.decode(outputs.gender_B2)),
        posterior,
    )


def _numbers(values_B: Tensor) -> Floats:
    numbers_B: Floats = values_B.cpu().double().numpy()
    return numbers_B


def _nothing(network: AgeGenderNet, uncertainty: Uncertainty) -> Predicted:
    """What is said of no faces: a rank may have none."""
    none, ages_A = np.empty(0), network.age_head.ages_A
    several = (none, none) if uncertainty.count > 1 else (None, None)
    posterior = None
    if ages_A is not None:
        posterior = Posterior(ages_A.cpu().numpy(), np.empty((0, len(ages_A)), np.float32))
    return Predicted(none, none, none, posterior, *several)


def predictions_table(faces: pd.DataFrame, predicted: Predicted) -> pd.DataFrame:
    """What is known of labelled faces (their part becomes `split`) beside what is said of them."""
    known = faces.drop(columns="split").rename(columns={"part": "split"})
    return with_columns(known, predicted)


def with_columns(known: pd.DataFrame, predicted: Predicted) -> pd.DataFrame:
    """A predictions table of what is known of faces and what is said of them; any earlier answer goes."""
    said = predicted.columns
    table = known.reindex(columns=list(COLUMNS)).drop(columns=[name for name in COLUMNS if name in said])
    extra = [name for name in SEVERAL if name in said]
    return table.reset_index(drop=True).join(said)[[*COLUMNS, *extra]]


def write_predicted(
    directory: Path, table: pd.DataFrame, posterior: Posterior | None, calibration: Calibration | None
) -> None:
    """Write predictions.csv, and what there is of calibration.json and posterior.npz."""
    if calibration is not None:
        table = calibration.apply(table)
        calibration.write(directory)
    write_predictions(table, directory / "predictions.csv")
    if posterior is not None:
        write_posterior(table["id"].tolist(), posterior, directory / "posterior.npz")
