"""The posteriors over the years that stand behind a predictions table: posterior.npz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

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


def read_posterior(ids: Sequence[str], path: Path) -> Posterior | None:
    """What `write_posterior` wrote, in the order of `ids`; None where there is no file.

    Raises UserError where it is damaged or of other faces.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            stored, posterior = content["id"], Posterior(content["ages"], content["posterior"])
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    if posterior.posterior_NA.shape != (len(stored), len(posterior.ages_A)):
        raise UserError(f"{path} is damaged: posterior is not of its faces and ages")
    if not np.array_equal(stored, np.asarray(ids, dtype=str)):
        raise UserError(f"{path} holds other faces than predictions.csv beside it")
    return posterior
