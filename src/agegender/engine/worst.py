"""The faces that a network is most wrong about: `worst.npz` in the run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.core.files import atomic
from agegender.data.manifest import age_interval
from agegender.data.samples.load import Samples
from agegender.evaluation.age_figures import age_error

WORST = "worst.npz"
FACES = 6
"""Of each task."""


def write_worst(directory: Path, samples: Samples, rows: npt.NDArray[np.intp], table: pd.DataFrame) -> None:
    """Of the judged part the largest age errors, and the wrong genders it is surest of.

    Row i of the predictions `table` is sample `rows[i]`. The file holds `id`, `task` (age or gender) and
    `face` (N, size, size, 3) as uint8; there is none where nothing is wrong.
    """
    chosen = {"age": _largest(_age_errors(table)), "gender": _largest(_gender_errors(table))}
    places = np.concatenate(list(chosen.values()))
    if not len(places):
        return
    content: dict[str, Any] = {
        "id": table["id"].iloc[places].to_numpy(str),
        "task": np.repeat(list(chosen), [len(found) for found in chosen.values()]),
        "face": samples[rows[places]],
    }
    with atomic(directory / WORST) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def _largest(errors_N: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Places of the largest errors above 0, largest first."""
    order = np.argsort(-errors_N, kind="stable")[:FACES]
    found: npt.NDArray[np.intp] = order[errors_N[order] > 0]
    return found


def _age_errors(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Years from the label, 0 where it is unknown or the face is not judged."""
    errors_N = np.abs(
        age_error(age_interval(table).to_numpy(np.float64), table["age_pred"].to_numpy(np.float64))
    )
    return np.where(_is_judged(table), np.nan_to_num(errors_N), 0.0)


def _gender_errors(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """How sure the network is of a wrong gender, 0 of a right one."""
    is_wrong = table["gender"].notna() & (table["gender"] != table["gender_pred"]) & _is_judged(table)
    return np.where(is_wrong, np.abs(table["gender_prob"] - 0.5) + 1e-9, 0.0)


def _is_judged(table: pd.DataFrame) -> pd.Series[bool]:
    return table["split"] == ("test" if (table["split"] == "test").any() else "val")
