"""Warnings about outputs that do not depend on the face, or only a little."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.evaluation.collapse import collapse_warnings

from ..made import predictions


def test_a_healthy_network_gets_no_warning() -> None:
    assert collapse_warnings(predictions()) == []


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_for_a_warning(rows: int) -> None:
    assert collapse_warnings(predictions()[:rows]) == []


def test_collapse_is_named() -> None:
    table = predictions()
    wobble = np.linspace(-0.2, 0.2, len(table))
    (warning,) = collapse_warnings(table.assign(age_pred=33 + wobble))
    assert "age is nearly constant" in warning
    (warning,) = collapse_warnings(table.assign(gender_pred="male"))
    assert "Every face is predicted male" in warning
    constant = table.assign(gender_pred="female", gender_prob=0.51)
    assert any("probability is constant" in warning for warning in collapse_warnings(constant))
    one_gender = constant.assign(gender="female")
    assert collapse_warnings(one_gender) == []


@pytest.mark.parametrize(("share", "squeezed"), [(0.45, True), (0.55, False)])
def test_a_squeezed_range_is_named(share: float, squeezed: bool) -> None:
    table = predictions()
    found = collapse_warnings(table.assign(age_pred=40 + share * (table["age"] - 45)))
    assert len(found) == squeezed
    expected = "98 % lie between 20 and 60 years, 98 % of the labelled ones between 1 and 89 years."
    assert all(text == f"The predicted ages are squeezed: {expected}" for text in found)


def test_intervals_are_judged_by_their_midpoints() -> None:
    table = predictions().assign(age=np.nan, age_min=20.0, age_max=90.0)
    assert collapse_warnings(table.assign(age_pred=np.linspace(50, 60, 200))) == []
    table.loc[::2, "age_max"] = 20.0
    (warning,) = collapse_warnings(table.assign(age_pred=np.linspace(30, 40, 200)))
    assert "98 % of the labelled ones between 20 and 55 years" in warning


def test_the_range_of_few_ages_says_nothing() -> None:
    table = predictions(40)
    table["age_pred"] = 40 + 0.1 * (table["age"] - 40)
    assert len(collapse_warnings(table)) == 1
    table.loc[19:, "age"] = np.nan
    assert collapse_warnings(table) == []
