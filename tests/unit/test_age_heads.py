"""Age heads against published numbers, closed forms and sums done by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.types import LabelSpec
from agegender.models.grid_head import membership
from agegender.models.heads.bins import BinsHead
from agegender.models.heads.coral import coral_losses
from agegender.models.heads.corn import log_posterior

from ..heads import LABELS, QUANTILES, exactly, grid_head, make_head, raw_of

GRIDS = ["bins", "classification", "coral", "corn", "dldl", "mean_variance"]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in registry.names("age_head")),
    ("regression", {"loss": "l1"}),
    ("regression", {"loss": "huber"}),
    ("gaussian", {"beta": 0.5}),
    ("bins", {"edges": "learned"}),
    ("bins", {"edges": "uniform"}),
]


# published numbers


def test_coral_loss_is_that_of_coral_pytorch() -> None:
    """The example in the docstring of its `coral_loss`, and the rows of its tests."""
    levels = torch.tensor([[1.0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    logits = torch.tensor([[2.1, 1.8, -2.1, -1.8], [1.9, -1.0, -1.5, -1.3], [1.9, 1.8, 1.7, 1.6]])
    known = torch.ones(3, 4, dtype=torch.bool)
    assert coral_losses(logits, levels, known).mean().item() == pytest.approx(0.6920, abs=5e-5)
    rows = [coral_losses(logits[i : i + 1], levels[i : i + 1], known[:1]).item() for i in range(3)]
    assert rows == pytest.approx([0.5370, 0.8951, 0.6441], abs=1e-4)
    ages = exactly(2, 1, 4)
    assert grid_head("coral").loss(logits, ages).item() == pytest.approx(0.6920, abs=5e-5)


def test_corn_loss_is_that_of_coral_pytorch() -> None:
    """The examples in the docstring and the tests of its `corn_loss`, which divides by the 5 classes."""
    head = grid_head("corn")
    torch.manual_seed(123)
    features = torch.rand(8, 99)
    logits = torch.nn.Linear(99, 4)(features)
    loss = head.loss(logits, exactly(0, 1, 2, 2, 2, 3, 4, 4))
    assert loss.item() * 8 / 5 == pytest.approx(3.4210, abs=5e-5)
    logits = torch.tensor([[2.1, 1.8, -2.1, -1.8], [1.9, -1.0, -1.5, -1.3], [1.9, 1.8, 1.7, 1.6]])
    assert head.loss(logits, exactly(0, 1, 2)).item() * 3 / 5 == pytest.approx(0.9657, abs=5e-4)


# closed forms


def test_dex_is_cross_entropy_and_the_expectation() -> None:
    head = grid_head("classification")
    raw, ages = raw_of(head), torch.tensor([0, 1, 2, 3, 4, 2])
    assert torch.allclose(head.loss(raw, exactly(*ages.tolist())), F.cross_entropy(raw, ages))
    probabilities = raw.double().softmax(1).numpy()
    years = head.decode(raw).years_B.numpy()
    assert years == pytest.approx(np.average(np.tile(np.arange(5), (6, 1)), axis=1, weights=probabilities))


def test_a_fractional_age_is_shared_by_its_neighbours() -> None:
    head = grid_head("classification")
    raw = raw_of(head)[:1]
    log_p = raw.log_softmax(1)[0]
    expected = -(0.75 * log_p[1] + 0.25 * log_p[2])
    assert torch.allclose(head.loss(raw, exactly(1.25)), expected)
    assert membership(torch.arange(5), exactly(1.25)).tolist() == [[0, 0.75, 0.25, 0, 0]]
    assert membership(torch.arange(5), torch.tensor([[1.25, 2.5]])).tolist() == [[0, 0.75, 1, 0.5, 0]]


def test_dldl_is_the_divergence_from_a_normal_and_the_error_of_the_mean() -> None:
    head = grid_head("dldl", sigma=1.5, expectation_weight=0.5)
    raw = raw_of(head)
    ages = [0, 1, 2, 3.25, 4, 2]
    labels = np.array([stats.norm.pdf(np.arange(5), age, 1.5) for age in ages])
    labels /= labels.sum(1, keepdims=True)
    said = raw.double().softmax(1).numpy()
    divergence = [stats.entropy(label, p) for label, p in zip(labels, said, strict=True)]
    expected = np.mean(divergence) + 0.5 * np.mean(np.abs(said @ np.arange(5) - ages))
    assert head.loss(raw, exactly(*ages)).item() == pytest.approx(expected, rel=1e-5)


def test_mean_variance_is_its_three_terms() -> None:
    head = grid_head("mean_variance", mean_weight=0.2, variance_weight=0.05)
    raw, ages = raw_of(head), torch.tensor([0, 1, 2, 3, 4, 2])
    p = raw.double().softmax(1)
    mean = p @ torch.arange(5.0, dtype=torch.float64)
    variance = p @ torch.arange(5.0, dtype=torch.float64).square() - mean**2
    expected = F.cross_entropy(raw.double(), ages) + (0.2 * (mean - ages) ** 2 / 2 + 0.05 * variance).mean()
    assert head.loss(raw, exactly(*ages.tolist())).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_gaussian_is_torchs_likelihood_weighed_by_beta(beta: float) -> None:
    head = make_head("gaussian", beta=beta, min_std=0.5)
    raw = torch.tensor([[0.2, -1.0], [-0.5, 0.3], [1.5, -4.0]])
    mean, variance = 45 + 20 * raw[:, 0], 400 * raw[:, 1].exp() + 0.25
    ages = torch.tensor([30.0, 1.0, 71.5])
    each = F.gaussian_nll_loss(mean, ages, variance, full=True, reduction="none")
    loss = head.loss(raw, exactly(*ages.tolist()))
    assert torch.allclose(loss, (variance**beta * each).mean())
    estimate = head.decode(raw)
    assert estimate.std_B is not None
    assert torch.allclose(estimate.std_B, variance.sqrt())


def test_with_beta_1_the_mean_learns_as_from_squared_errors() -> None:
    head = make_head("gaussian", beta=1.0)
    raw = torch.tensor([[0.2, -1.0], [-0.5, 0.3]], requires_grad=True)
    head.loss(raw, exactly(30, 1)).backward()
    assert raw.grad is not None
    errors = 45 + 20 * raw.detach()[:, 0] - torch.tensor([30.0, 1.0])
    assert torch.allclose(raw.grad[:, 0], errors * 20 / 2, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "function"),
    [("mse", F.mse_loss), ("l1", F.l1_loss), ("huber", lambda a, b: F.huber_loss(a, b, delta=5.0))],
)
def test_regression_is_torchs_loss_in_years(name: str, function: Any) -> None:
    head = make_head("regression", loss=name, rescale=False)
    raw, ages = torch.tensor([[31.0], [60.0], [12.0]]), torch.tensor([30.0, 71.0, 15.0])
    assert torch.equal(head.loss(raw, exactly(*ages.tolist())), function(raw[:, 0], ages))


@pytest.mark.parametrize(("name", "options"), [each for each in VARIANTS if each[0] not in GRIDS], ids=str)
def test_the_loss_counts_years_to_the_power_it_says(name: str, options: dict[str, Any]) -> None:
    """In another unit of time the same faces have the same loss, but for the factor."""
    factor, raw = 3.0, torch.tensor([[0.4, -0.3], [-1.0, 0.2]])
    losses = []
    for unit in (1.0, factor):
        labels = LabelSpec(0, 120 * unit, 33 * unit, 20 * unit)
        lengths = {"huber_delta": 5.0 * unit} if name == "regression" else {"min_std": 0.5 * unit}
        head = make_head(name, labels=labels, **{**options, **lengths})
        losses.append(head.loss(raw[:, : 1 if name == "regression" else 2], exactly(30 * unit, 60 * unit)))
        power = head.years_power
    log_unit = math.log(factor) if name == "gaussian" else 0.0  # of a density
    weight = (400 * raw[:, 1].exp() + 0.25).pow(options.get("beta", 0.0)).mean().item() if log_unit else 0.0
    expected = factor**power * (losses[0].item() + weight * log_unit)
    assert losses[1].item() == pytest.approx(expected, rel=1e-4)


# gradients


@pytest.mark.parametrize(("name", "options"), [each for each in VARIANTS if "beta" not in each[1]], ids=str)
def test_gradients_are_those_of_the_loss(name: str, options: dict[str, Any]) -> None:
    """But for beta's weight, which has no gradient on purpose."""
    head = make_head(name, **options).double()
    features = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ages = torch.tensor([[20.0, 20], [31.25, 31.25], [40, 49], [70, 120]], dtype=torch.float64)
    parameters = tuple(p.detach().clone().requires_grad_() for p in head.parameters())
    names = [name for name, _ in head.named_parameters()]

    def loss(*values: Tensor) -> Tensor:
        state = dict(zip(names, values, strict=True))
        raw = torch.func.functional_call(head, state, (features,))
        if "free_widths_K" not in state:
            return head.loss(raw, ages)
        with torch.nn.utils.stateless._reparametrize_module(head, state):  # the loss needs the edges, too
            return head.loss(raw, ages)

    assert torch.autograd.gradcheck(loss, parameters, atol=1e-4, rtol=1e-3, fast_mode=True)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_gradients_are_finite_however_wrong_the_answer(
    name: str, options: dict[str, Any], scale: float
) -> None:
    head = make_head(name, **options)
    raw = (head(scale * torch.randn(64, 4, generator=torch.Generator().manual_seed(3)))).detach()
    raw.requires_grad_()
    low = torch.linspace(0, 118, 64)
    for ages in (torch.stack([low, low], 1), torch.stack([low, low + 2], 1), torch.stack([low, low + 99], 1)):
        loss = head.loss(raw, ages)
        (gradient,) = torch.autograd.grad(loss, raw)
        assert loss.isfinite()
        assert gradient.isfinite().all()


# posteriors


@pytest.mark.parametrize("name", ["coral", "corn"])
def test_older_than_k_is_less_likely_than_older_than_k_less_1(name: str) -> None:
    head = grid_head(name, LABELS)
    if name == "coral":
        optimizer = torch.optim.SGD(head.parameters(), lr=1.0)  # far from where it began
        for _ in range(5):
            loss = head.loss(head(torch.randn(16, 4)), exactly(*torch.linspace(0, 120, 16).tolist()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    raw = raw_of(head, 50, scale=5.0)
    above = raw.sigmoid() if name == "coral" else F.logsigmoid(raw).cumsum(1).exp()
    assert (above.diff(dim=1) <= 1e-6).all()
    posterior = head.posterior(raw)
    assert (posterior >= 0).all()
    assert torch.allclose(1 - posterior.cumsum(1)[:, :-1], above, atol=1e-5)


def test_corn_posterior_is_a_product_of_conditionals() -> None:
    f = torch.tensor([[0.9, 0.5, 0.25]])
    expected = torch.tensor([[0.1, 0.9 * 0.5, 0.9 * 0.5 * 0.75, 0.9 * 0.5 * 0.25]])
    assert torch.allclose(log_posterior(torch.logit(f)).exp(), expected)


def test_mean_median_and_deviation_are_numpys() -> None:
    chances = torch.tensor([[0.05, 0.1, 0.3, 0.35, 0.2], [0.6, 0.1, 0.1, 0.1, 0.1]])
    drawn = [np.repeat(np.arange(5), (row * 100).round().int().numpy()) for row in chances]
    raw = chances.log()
    for decode, function in (("mean", np.mean), ("median", np.median)):
        estimate = grid_head("classification", decode=decode).decode(raw)
        assert estimate.std_B is not None
        assert estimate.years_B.tolist() == pytest.approx([function(row) for row in drawn], abs=1e-5)
        assert estimate.std_B.tolist() == pytest.approx([row.std() for row in drawn], abs=1e-5)


@pytest.mark.parametrize("name", GRIDS)
def test_a_range_of_its_own(name: str) -> None:
    labels = LabelSpec(age_min=15, age_max=80.5, age_mean=40, age_std=15)
    head = grid_head(name, labels, age_range=[9.5, 90])
    assert head.ages_A.tolist() == list(range(9, 91))
    raw = 100 * torch.randn(20, head(torch.zeros(1, 4)).shape[1], generator=torch.Generator().manual_seed(0))
    if name == "coral":
        raw = raw.sort(1, descending=True).values
    estimate = head.decode(raw)
    assert estimate.years_B.min() >= 15
    assert estimate.years_B.max() <= 80.5
    assert grid_head(name, labels).ages_A.tolist() == list(range(15, 82))


def test_a_range_must_rise() -> None:
    with pytest.raises(UserError, match=r"age_range=\[80, 10\]: the first must be below the second"):
        make_head("corn", age_range=[80.0, 10.0])


@pytest.mark.parametrize("edges", ["uniform", "quantile", "learned"])
def test_bins_cover_the_years_and_are_as_full_or_wide_as_asked_for(edges: str) -> None:
    head = cast("BinsHead", make_head("bins", bins=8, edges=edges))
    found = head.edges().detach().numpy()
    assert found[[0, -1]] == pytest.approx([-0.5, 120.5])
    assert (np.diff(found) > 0).all()
    if edges == "uniform":
        assert np.diff(found) == pytest.approx([121 / 8] * 8)
    else:
        shares = np.histogram(QUANTILES.clamp(min=0).numpy(), found)[0] / 101
        assert shares == pytest.approx([1 / 8] * 8, abs=0.03)
    (head.loss(head(torch.randn(8, 4)), exactly(*range(10, 90, 10)))).backward()
    assert (edges == "learned") == any(name == "free_widths_K" for name, _ in head.named_parameters())


# where training begins


def _documented() -> dict[str, tuple[float, float]]:
    """By variant: what docs/heads.md says that a constant predictor's loss is, and the lambda alike to 50."""
    page = (Path(__file__).parents[2] / "docs" / "heads.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^|]+)` \| [^|]+ \| ([0-9.,]+) \| ([0-9.]+) \|", page, flags=re.M)
    return {name: (float(loss.replace(",", "")), float(alike)) for name, loss, alike in rows}


def test_the_documentation_has_every_head() -> None:
    assert {name.split()[0] for name in _documented()} == set(registry.names("age_head"))
    assert len(_documented()) == 12


@pytest.mark.parametrize("variant", _documented())
def test_training_begins_at_the_labels_with_the_documented_loss(variant: str) -> None:
    name, *keys = variant.split()
    options: dict[str, Any] = {}
    for key in keys:
        option, _, value = key.removeprefix("age_head.").partition("=")
        options[option] = float(value) if option == "beta" else value
    head = make_head(name, num_features=256, **options)
    with torch.no_grad():
        raw = head(torch.zeros(101, 256))
        loss = head.loss(raw, exactly(*QUANTILES.clamp(min=0).tolist())).item()
    estimate = head.decode(raw)
    assert float(estimate.years_B[0]) == pytest.approx(45, abs=3)
    if estimate.std_B is not None:
        assert float(estimate.std_B[0]) == pytest.approx(20, abs=3)
    documented, alike = _documented()[variant]
    assert loss == pytest.approx(documented, rel=0.03)
    assert loss / 8 == pytest.approx(alike, rel=0.15)


def test_corals_loss_counts_years() -> None:
    """Where ages spread half as far, it is half as large."""
    losses = []
    for spread in (10.0, 20.0):
        years = (60 + spread * (QUANTILES - 45) / 20).float()
        labels = LabelSpec(0, 120, 60, spread, tuple(years.tolist()))
        head = make_head("coral", num_features=256, labels=labels)
        with torch.no_grad():
            losses.append(float(head.loss(head(torch.zeros(101, 256)), exactly(*years.tolist()))))
    assert losses[1] / losses[0] == pytest.approx(2**head.years_power, rel=0.1)


def test_a_checkpoint_without_quantiles_begins_at_a_normal() -> None:
    spec = LabelSpec(age_min=0, age_max=120, age_mean=33, age_std=5)
    head = make_head("classification", labels=spec)
    estimate = head.decode(head(torch.zeros(1, 4)))
    assert float(estimate.years_B.detach()) == pytest.approx(33, abs=2)
