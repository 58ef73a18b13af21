"""An output that no longer depends on the face, or answers a small part of what is labelled."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agegender.data.manifest import age_midpoint
from agegender.evaluation.age_figures import RANGE

_FLAT_AGE = 0.5
"""Years; predictions that vary less no longer depend on the face."""

_FLAT_PROB = 1e-3

_SQUEEZED = 0.5
"""Of the labels' range. A network of least squared error answers the mean age of faces that look alike.
Such answers spread as r times the labels and leave 1 - r^2 of their variance unexplained (r: their
correlation): at half the range three quarters, and nobody is told to be nearly as old as the oldest are."""

_FEWEST = 20
"""Faces whose range says something."""


def collapse_warnings(table: pd.DataFrame) -> list[str]:
    """Sentences about such outputs; none for a healthy network."""
    return _of_age(table) + _of_gender(table)


def _of_age(table: pd.DataFrame) -> list[str]:
    label = age_midpoint(table)
    spread, label_spread = table["age_pred"].std(), label.std()
    if not label_spread > 1:  # no or one age included
        return []
    if spread < max(_FLAT_AGE, 0.01 * label_spread):
        return [
            f"The predicted age is nearly constant: its standard deviation is {spread:.2g} years, "
            f"that of the labels {label_spread:.1f} years."
        ]
    known = label.notna()
    (low, high), (said_low, said_high) = (
        np.percentile(years[known], RANGE) for years in (label, table["age_pred"])
    )
    if known.sum() < _FEWEST or said_high - said_low >= _SQUEEZED * (high - low):
        return []
    return [
        f"The predicted ages are squeezed: 98 % lie between {said_low:.0f} and {said_high:.0f} years, "
        f"98 % of the labelled ones between {low:.0f} and {high:.0f} years."
    ]


def _of_gender(table: pd.DataFrame) -> list[str]:
    if table["gender"].nunique() < 2:
        return []
    found = []
    said = table["gender_pred"].unique()
    if len(said) == 1:
        found.append(f"Every face is predicted {said[0]}, though both genders are labelled.")
    spread = table["gender_prob"].std()
    if spread < _FLAT_PROB:
        found.append(f"The gender probability is constant: its standard deviation is {spread:.1g}.")
    return found
