"""Where the network looks in a few faces: `explain.npz` in the run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from agegender.config.judging import ReportOptions
from agegender.core.files import atomic
from agegender.data.inputs import Inputs
from agegender.data.samples.load import Samples
from agegender.models.grad_cam import grad_cam
from agegender.models.network import AgeGenderNet

EXPLANATION = "explain.npz"
FACES = 6


def may_show(source: str, report: ReportOptions) -> bool:
    """Whether faces may lie in the run's directory: the drawn ones always, others if they were asked for."""
    return report.images or source == "synthetic"


def write_explanation(directory: Path, network: AgeGenderNet, faces: pd.DataFrame, samples: Samples) -> None:
    """Maps of some faces of the judged part, and the faces; nothing where that part is empty.

    The file holds `id` and `face` (N, size, size, 3) as uint8, `age`, `gender` and perhaps attention, each
    (N, H, W), under the names of `Maps`.
    """
    rows = _chosen(faces)
    if not len(rows):
        return
    device = next(network.parameters()).device
    pixels = samples[rows]
    maps = grad_cam(network, Inputs(network.input_spec, device).make(torch.from_numpy(pixels)))
    tensors = {"age": maps.age_BHW, "gender": maps.gender_BHW, **maps.attention}
    content: dict[str, Any] = {name: tensor.float().cpu().numpy() for name, tensor in tensors.items()}
    content |= {"id": faces["id"].iloc[rows].to_numpy(str), "face": pixels}
    with atomic(directory / EXPLANATION) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def _chosen(faces: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Some of the test part, or of val where there is none: spread over the order of their ids."""
    part = "test" if (faces["part"] == "test").any() else "val"
    rows = np.flatnonzero(faces["part"] == part)
    ordered = rows[np.argsort(faces["id"].iloc[rows].to_numpy(str), kind="stable")]
    places = np.linspace(0, len(rows) - 1, min(FACES, len(rows)))
    chosen: npt.NDArray[np.intp] = ordered[places.round().astype(int)]
    return chosen
