"""The posteriors over the years that stand behind a predictions table: posterior.npz."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agegender.core.errors import UserError
from agegender.core.files import atomic


@dataclass(frozen=True)
class Posterior:
    """Probability of each whole year, a row a face."""

    ages_A: np.ndarray
    """Years, whole numbers."""
    posterior_NA: np.ndarray
    """float32; rows sum to 1."""


def write_posterior(ids: Sequence[str], posterior: Posterior, path: Path) -> None:
    """Write `id` (N,) as text, `ages` (A,) in years and `posterior` (N, A) float32, in the order of `ids`."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, id=np.asarray(ids, dtype=str), ages=posterior.ages_A, posterior=posterior.posterior_NA)


def read_posterior(path: Path) -> tuple[list[str], Posterior]:
    """Ids and their posteriors. Raises UserError for a damaged file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["id"].tolist(), Posterior(file["ages"], file["posterior"])
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error
