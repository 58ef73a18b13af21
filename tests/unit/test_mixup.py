"""C-Mixup: partners of a similar age, and labels mixed as the pixels are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from agegender.core.types import InputSpec, LabelSpec
from agegender.data.augment.mixup import draw_mixing
from agegender.data.batches import Batch, Batches
from agegender.engine.step import task_losses
from agegender.models.gender_head import GenderHead
from agegender.models.heads.regression import RegressionHead
from agegender.models.network import AgeGenderNet, Outputs
from tests.augmentation import augmentation

from ..batches import shuffled

MIXED = augmentation(mixup=0.7, mixup_alpha=0.8, mixup_bandwidth=4.0)
ALL = augmentation(mixup=1.0, mixup_alpha=2.0, mixup_bandwidth=5.0)


def _ages(count: int = 20_000) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 100, count).astype(np.float32)


def test_distances_in_age_follow_the_gaussian() -> None:
    ages = _ages()
    mixing = draw_mixing(0, 1, ages, np.arange(len(ages)), ALL)
    distance = ages[mixing.partner_N] - ages
    middle = (ages > 30) & (ages < 70)
    assert stats.kstest(distance[middle], stats.norm(0, 5).cdf).pvalue > 0.01
    # at the border the half that exists
    young = ages < 0.2
    assert stats.kstest(distance[young], stats.halfnorm(0, 5).cdf).pvalue > 0.01


def test_how_many_faces_an_age_has_does_not_matter_and_they_share_evenly() -> None:
    ages = np.repeat([37.0, 40.0, 43.0], [1000, 10, 20]).astype(np.float32)
    found = np.concatenate(
        [draw_mixing(0, e, ages, np.arange(1030), ALL).partner_N[1000:1010] for e in range(400)]
    )
    counts = np.array([(ages[found] == age).sum() for age in (37, 40, 43)])
    assert abs(counts[0] - counts[2]) < 4 * counts[2] ** 0.5
    of_43 = np.bincount(found[found >= 1010] - 1010, minlength=20)
    assert stats.chisquare(of_43).pvalue > 0.01


def test_weights_are_beta_and_as_many_are_mixed_as_asked() -> None:
    ages = _ages()
    mixing = draw_mixing(0, 1, ages, np.arange(len(ages)), MIXED)
    mixed = mixing.weight_N < 1
    assert abs(mixed.mean() - 0.7) < 0.02
    assert stats.kstest(mixing.weight_N[mixed], stats.beta(0.8, 0.8).cdf).pvalue > 0.01
    assert np.array_equal(mixing.partner_N[~mixed], np.flatnonzero(~mixed))


def test_a_partner_belongs_to_seed_epoch_and_sample_and_comes_from_the_pool() -> None:
    ages = _ages(500)
    pool = np.arange(100, 400)
    mixing = draw_mixing(1, 2, ages, pool, MIXED)
    again = draw_mixing(1, 2, ages, pool[::-1].copy(), MIXED)
    assert np.array_equal(mixing.partner_N, again.partner_N)
    assert np.array_equal(mixing.weight_N, again.weight_N)
    assert np.isin(mixing.partner_N[pool], pool).all()
    assert (mixing.weight_N[:100] == 1).all()
    assert (mixing.weight_N[400:] == 1).all()
    for seed, epoch in ((1, 3), (2, 2)):
        assert not np.array_equal(draw_mixing(seed, epoch, ages, pool, MIXED).partner_N, mixing.partner_N)


def test_nobody_to_mix_nothing_mixed() -> None:
    mixing = draw_mixing(0, 1, _ages(5), np.array([], dtype=np.intp), ALL)
    assert (mixing.weight_N == 1).all()
    alone = draw_mixing(0, 1, _ages(5), np.array([3]), ALL)
    assert alone.partner_N.tolist() == [0, 1, 2, 3, 4]


def _batches(batch_size: int = 8, count: int = 40) -> Batches:
    """Faces that show their labels: age as red, P(female) as green, the row as blue."""
    age = np.random.default_rng(1).integers(0, 100, count).astype(float)
    female = np.arange(count) % 2 == 0
    pixels = np.zeros((count, 8, 8, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = age[:, None, None], 200 * female[:, None, None]
    pixels[..., 2] = np.arange(count)[:, None, None]
    faces = pd.DataFrame(
        {"age": age, "age_min": np.nan, "age_max": np.nan, "gender": np.where(female, "female", "male")}
    )
    faces.loc[[3, 4], "age"] = np.nan
    faces.loc[[5, 6], "gender"] = None
    spec = InputSpec(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return Batches(faces, pixels, spec, batch_size, torch.device("cpu"))


def _epoch(batches: Batches, **values: float) -> list[Batch]:
    return shuffled(batches, np.arange(40), 0, 1, augmentation(**values))


def _joined(batches: list[Batch]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    assert all(batch.female_B is not None for batch in batches)
    female = [batch.female_B for batch in batches if batch.female_B is not None]
    return (
        torch.cat([batch.inputs for batch in batches]),
        torch.cat([batch.age_B2[:, 0] for batch in batches]),
        torch.cat(female),
    )


def test_labels_are_mixed_with_the_weight_of_the_pixels() -> None:
    images, age, female = _joined(_epoch(_batches(), mixup=1.0))
    known = ~(age.isnan() | female.isnan())
    assert torch.allclose(images[known, 0, 4, 4] * 255, age[known], atol=1e-3)
    assert torch.allclose(images[known, 1, 4, 4] * 255 / 200, female[known], atol=1e-5)
    assert int(((female > 0) & (female < 1)).sum()) > 10


def test_both_ends_of_an_interval_are_mixed() -> None:
    """Partners are drawn by the midpoint; a mixed interval is as wide as the weight makes it."""
    exact, wide = _batches(), _batches()
    wide._age_N2 += torch.tensor([-3.0, 3.0])
    wide._age_N2[::2] += torch.tensor([-2.0, 2.0])
    pairs = zip(_epoch(exact, mixup=1.0), _epoch(wide, mixup=1.0), strict=True)
    widths = []
    for one, other in pairs:
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.age_B2[:, 0].nan_to_num(-1), one.age_B2[:, 1].nan_to_num(-1))
        assert torch.allclose(other.age_B2.mean(1), one.age_B2[:, 0], equal_nan=True)
        widths.append(other.age_B2[:, 1] - other.age_B2[:, 0])
    width = torch.cat(widths)
    assert int(((width > 6.01) & (width < 9.99)).sum()) > 10


def test_a_face_that_lacks_a_label_is_left_alone() -> None:
    unmixed = torch.cat([batch.inputs for batch in _epoch(_batches())])
    images, age, female = _joined(_epoch(_batches(), mixup=1.0))
    lacking = age.isnan() | female.isnan()
    assert int(lacking.sum()) == 4
    assert torch.equal(images[lacking], unmixed[lacking])
    assert sum(batch.labelled[0] for batch in _epoch(_batches(), mixup=1.0)) == 38
    assert not torch.equal(images, unmixed)


def test_no_mixup_is_what_it_was() -> None:
    plain, off = _epoch(_batches()), _epoch(_batches(), mixup=0.0, mixup_alpha=3.0)
    for left, right in zip(plain, off, strict=True):
        assert left.female_B is right.female_B is None
        assert torch.equal(left.inputs, right.inputs)
        assert torch.equal(left.gender_B, right.gender_B)


def test_faces_without_a_partner_keep_their_bits() -> None:
    mixed, plain = _joined(_epoch(_batches(), mixup=0.5))[0], _epoch(_batches())
    same = (mixed == torch.cat([batch.inputs for batch in plain])).flatten(1).all(1)
    assert 10 < int(same.sum()) < 30


@pytest.mark.parametrize("preset", ["none", "strong"])
def test_a_mixed_face_does_not_depend_on_its_batch(preset: str) -> None:
    options = augmentation(preset, mixup=0.7)
    left, right = (_joined(shuffled(_batches(size), np.arange(40), 3, 2, options)) for size in (7, 16))
    for one, other in zip(left, right, strict=True):
        assert torch.equal(one.nan_to_num(-1), other.nan_to_num(-1))


def test_losses_of_mixed_labels_are_mixtures_of_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 2, generator=generator)
    own, other = (torch.randint(0, 2, (12,), generator=generator) for _ in range(2))
    weight = torch.rand(12, generator=generator)
    head = GenderHead(4)
    one_by_one = [
        w * head.loss(row[None], a[None]) + (1 - w) * head.loss(row[None], b[None])
        for row, a, b, w in zip(logits, own, other, weight, strict=True)
    ]
    female = weight * (own == 0) + (1 - weight) * (other == 0)
    assert torch.allclose(head.loss(logits, female), torch.stack(one_by_one).mean())
    assert torch.allclose(head.loss(logits, (own == 0).float()), head.loss(logits, own))

    ages, others = 80 * torch.rand(12, generator=generator), 80 * torch.rand(12, generator=generator)
    years = (80 * torch.rand(12, generator=generator)).requires_grad_()
    (mixed,) = torch.autograd.grad(F.mse_loss(years, weight * ages + (1 - weight) * others), years)
    both = (weight * (years - ages) ** 2 + (1 - weight) * (years - others) ** 2).mean()
    assert torch.allclose(mixed, torch.autograd.grad(both, years)[0], atol=1e-6)


def test_the_step_takes_the_mixed_labels() -> None:
    options = RegressionHead.Options(name="regression", loss="mse", huber_delta=5.0, rescale=False)
    head = RegressionHead(options, 4, LabelSpec(0, 99, 30, 20))
    heads = SimpleNamespace(age_head=head, gender_head=GenderHead(4))
    outputs = Outputs(torch.full((40, 1), 30.0), torch.tensor([[1.0, -0.5]]).repeat(40, 1))
    (batch,) = shuffled(_batches(batch_size=40), np.arange(40), 0, 1, augmentation(mixup=1.0))
    assert batch.female_B is not None
    age_loss, gender_loss = task_losses(cast("AgeGenderNet", heads), outputs, batch)
    assert torch.allclose(age_loss, (batch.age_B2[:, 0] - 30).square().nanmean())
    surprise = -torch.tensor([1.0, -0.5]).log_softmax(0)
    expected = batch.female_B * surprise[0] + (1 - batch.female_B) * surprise[1]
    assert torch.allclose(gender_loss, expected.nanmean())
