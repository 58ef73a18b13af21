"""How the training labels are spread over the years: where the heads begin."""

from __future__ import annotations

import numpy as np
import torch

from agegender.core.types import LabelSpec

_ANYWHERE = 0.05
"""Share that is spread evenly, so that no year is impossible."""


def year_masses(label_spec: LabelSpec, ages_A: np.ndarray) -> np.ndarray:
    """Share of the training labels in each of the whole years `ages_A` (A,); sums to 1.

    From the percentiles of their ages; where these are not known, from a normal distribution.
    """
    edges = year_edges(ages_A)
    if label_spec.age_quantiles:
        quantiles = np.asarray(label_spec.age_quantiles)
        below = np.interp(edges, quantiles, np.linspace(0, 1, len(quantiles)))
    else:
        below = torch.special.ndtr(
            torch.from_numpy((edges - label_spec.age_mean) / label_spec.age_std)
        ).numpy()
    masses = np.diff(below)
    evenly = np.full(len(ages_A), 1 / len(ages_A))
    known = masses / masses.sum() if masses.sum() else evenly
    return (1 - _ANYWHERE) * known + _ANYWHERE * evenly


def year_edges(ages_A: np.ndarray) -> np.ndarray:
    """Where the years begin and end (A + 1,): year k is what rounds to it, k - 0.5 to k + 0.5."""
    return np.append(ages_A - 0.5, ages_A[-1] + 0.5)
