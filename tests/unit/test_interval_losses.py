"""Losses of labels that are intervals, against sums done by hand and scipy's normal distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from agegender.models.grid_head import surprise

from ..heads import LABELS, exactly, grid_head, make_head, raw_of

LIKELIHOODS = ["classification", "corn", "bins"]
"""Heads whose loss is nothing but the likelihood of a label under the posterior."""


def test_an_interval_has_the_likelihood_of_its_years() -> None:
    head = grid_head("classification")
    raw = raw_of(head)[:3]
    p = raw.softmax(1)
    expected = -torch.stack([p[0, 1:4].sum(), p[1, :].sum(), p[2, 4:].sum()]).log().mean()
    loss = head.loss(raw, torch.tensor([[1.0, 3], [0, 4], [4, 90]]))  # the last one is open
    assert torch.allclose(loss, expected)


def test_corn_intervals_are_the_censored_hazard_likelihood() -> None:
    head = grid_head("corn")
    raw = raw_of(head)[:3]
    f = raw.sigmoid()
    inside = [
        f[0, 0] * (1 - f[0, 1] * f[0, 2]),  # 1 to 2
        1 - f[1, :3].prod(),  # 0 to 2
        f[2, :3].prod(),  # 3 to 4, the last: no further question
    ]
    loss = head.loss(raw, torch.tensor([[1.0, 2], [0, 2], [3, 4]]))
    assert torch.allclose(loss, -torch.stack(inside).log().mean())


def test_coral_knows_nothing_of_the_levels_inside_an_interval() -> None:
    head = grid_head("coral")
    raw = torch.tensor([[2.0, 1.0, -0.5, -3.0]])
    expected = -(F.logsigmoid(raw[0, 0]) + F.logsigmoid(-raw[0, 3]))
    assert torch.allclose(head.loss(raw, torch.tensor([[1.0, 3.0]])), expected)
    soft = F.binary_cross_entropy_with_logits(raw[0], torch.tensor([1.0, 0.25, 0, 0]), reduction="sum")
    assert torch.allclose(head.loss(raw, exactly(1.25)), soft)


def test_a_gaussian_interval_is_its_mass_in_either_tail() -> None:
    head = make_head("gaussian", min_std=1e-3)
    raw = torch.tensor(
        [[0.0, 0.0], [0.0, 2 * math.log(0.05)], [0.0, 2 * math.log(0.05)]]
    )  # 20, 1 and 1 years
    ages = torch.tensor([[20.0, 29.0], [70, 79], [3, 9]])
    expected = []
    for (low, high), std in zip(ages.tolist(), (20.0, 1.0, 1.0), strict=True):
        sign = -1 if low > 45 else 1  # the tail that scipy is exact in
        ends = sorted(sign * (end - 45) / std for end in (low - 0.5, high + 0.5))
        above, below = stats.norm.logcdf(ends[1]), stats.norm.logcdf(ends[0])
        expected.append(-(above + np.log1p(-np.exp(below - above))))
    assert min(expected[1:]) > 270
    losses = [head.loss(raw[i : i + 1], ages[i : i + 1]).item() for i in range(3)]
    assert losses == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_regression_counts_the_distance_to_an_interval(loss: str) -> None:
    head = make_head("regression", loss=loss, rescale=False)
    raw = torch.tensor([[25.0], [33.0], [15.0]], requires_grad=True)
    ages = torch.tensor([[20.0, 29.0]]).expand(3, -1)
    value = head.loss(raw, ages)
    assert torch.allclose(value, make_head("regression", loss=loss, rescale=False).loss(
        torch.tensor([[0.0], [4.0], [5.0]]), exactly(0, 0, 0)))  # fmt: skip
    (gradient,) = torch.autograd.grad(value, raw)
    assert gradient.sign()[:, 0].tolist() == [0, 1, -1]


@pytest.mark.parametrize("name", ["dldl", "mean_variance"])
def test_the_mean_has_no_error_inside_an_interval(name: str) -> None:
    weight = {"dldl": "expectation_weight", "mean_variance": "mean_weight"}[name]
    heads = []
    for value in (7.0, 0.0):
        options: dict[str, Any] = {weight: value}
        if name == "mean_variance":
            options["variance_weight"] = 0.0
        heads.append(grid_head(name, **options))
    raw = raw_of(grid_head(name))[:1]
    years = float(grid_head(name).decode(raw).years_B)
    inside = torch.tensor([[math.floor(years), math.ceil(years)]])
    outside = torch.tensor([[0.0, years - 0.5]]) if years > 1 else torch.tensor([[years + 0.5, 4.0]])
    for ages, is_inside in ((inside, True), (outside, False)):
        with_error, without = (head.loss(raw, ages) for head in heads)
        censored = surprise(raw.log_softmax(1), torch.arange(5), ages).mean()
        assert torch.allclose(without, censored)
        assert torch.allclose(with_error, without) == is_inside


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_likelihood_is_that_of_the_posterior(name: str) -> None:
    """Of an exact age and of an interval alike: the loss is minus the log of what the posterior says."""
    head = grid_head(name, LABELS)
    raw = raw_of(head)
    p = head.decode(raw).posterior_BA
    assert p is not None
    rows = torch.arange(6)
    ages = torch.tensor([3, 20, 29, 33, 70, 118])
    assert torch.allclose(head.loss(raw, exactly(*ages.tolist())), -p[rows, ages].log().mean(), rtol=1e-4)
    spans = torch.stack([ages - 3, ages + 2], 1)
    expected = -torch.stack([p[i, low : high + 1].sum() for i, (low, high) in enumerate(spans)]).log().mean()
    assert torch.allclose(head.loss(raw, spans.float()), expected, rtol=1e-4)
