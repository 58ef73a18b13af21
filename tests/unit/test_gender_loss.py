"""The gender loss against torch's cross entropy and the focal loss' closed form."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from agegender.models.gender_head import GenderHead, GenderLoss

LOGITS = 3 * torch.randn(32, 2, generator=torch.Generator().manual_seed(0))
CLASSES = torch.randint(0, 2, (32,), generator=torch.Generator().manual_seed(1))


def test_by_default_it_is_cross_entropy_to_the_bit() -> None:
    assert torch.equal(GenderHead(4).loss(LOGITS, CLASSES), F.cross_entropy(LOGITS, CLASSES))
    each = F.cross_entropy(LOGITS, CLASSES, reduction="none")
    assert torch.allclose(GenderHead(4).losses(LOGITS, CLASSES), each)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("weights", [None, (0.5, 2.0)])
def test_smoothing_and_weights_are_torchs(smoothing: float, weights: tuple[float, float] | None) -> None:
    """Torch's mean over faces; its own "mean" is over their weights."""
    loss = GenderLoss(smoothing, weights)
    weight = None if weights is None else torch.tensor(weights)
    female = torch.rand(32, generator=torch.Generator().manual_seed(2))
    mixed = torch.stack([female, 1 - female], 1)
    for labels, target in ((CLASSES, CLASSES), (female, mixed)):
        each = F.cross_entropy(LOGITS, target, weight, label_smoothing=smoothing, reduction="none")
        assert torch.allclose(loss(LOGITS, labels), each.mean())
        assert torch.allclose(loss.losses(LOGITS, labels), each)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_as_published(gamma: float) -> None:
    p = LOGITS.double().softmax(1)[torch.arange(32), CLASSES]
    expected = (-((1 - p) ** gamma) * p.log()).mean()
    loss = GenderLoss(focal_gamma=gamma)
    assert loss(LOGITS, CLASSES).item() == pytest.approx(expected.item(), rel=1e-5)
    weighed = GenderLoss(class_weights=(0.5, 2.0), focal_gamma=gamma)
    alpha = torch.tensor([0.5, 2.0])[CLASSES]
    expected = (-alpha * (1 - p) ** gamma * p.log()).mean()
    assert weighed(LOGITS, CLASSES).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        GenderLoss(0.1),
        GenderLoss(class_weights=(0.5, 2.0)),
        GenderLoss(focal_gamma=0.5),
        GenderLoss(0.1, (1.0, 3.0), 2.0),
    ],
    ids=str,
)
def test_a_certain_p_is_the_class_and_parts_add_up(loss: GenderLoss) -> None:
    assert torch.allclose(loss(LOGITS, (CLASSES == 0).float()), loss(LOGITS, CLASSES))
    parts = [
        loss(LOGITS[rows], CLASSES[rows]) * len(rows) / 32 for rows in torch.arange(32).split([5, 20, 7])
    ]
    assert torch.allclose(sum(parts, torch.tensor(0.0)), loss(LOGITS, CLASSES))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_are_finite_where_an_answer_is_certain(gamma: float) -> None:
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    loss = GenderLoss(0.1, (1.0, 2.0), gamma)(logits, torch.tensor([0, 0]))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.isfinite().all()


def test_gradients_are_those_of_the_loss() -> None:
    logits = LOGITS.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda raw: GenderLoss(0.1, (0.5, 2.0), 1.5)(raw, CLASSES), logits)
