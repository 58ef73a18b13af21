"""Augmentation: own draws for every sample, equal to torchvision's operations."""

from __future__ import annotations

import math

import numpy as np
import torch

from agegender.config.schema import AugmentOptions
from agegender.core.torchvision_shim import import_torchvision
from agegender.data.augment import augment, draws


def _options(**values: float) -> AugmentOptions:
    return AugmentOptions(**{"flip": 0.0, "rotate": 0.0, "brightness": 0.0, "contrast": 0.0, **values})


def _images(count: int = 3, size: int = 24) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_draws_belong_to_the_sample_not_to_its_batch() -> None:
    few, many = draws(seed=1, epoch=2, samples=5), draws(seed=1, epoch=2, samples=50)
    assert np.array_equal(few, many[:5])
    assert not np.array_equal(few, draws(1, 3, 5))
    assert not np.array_equal(few, draws(2, 2, 5))


def test_two_samples_of_a_batch_differ() -> None:
    image = _images(1).expand(2, -1, -1, -1)
    options = _options(flip=0.5, rotate=10, brightness=0.2, contrast=0.2)
    first, second = augment(image, torch.from_numpy(draws(0, 1, 2)), options)
    assert not torch.allclose(first, second)


def test_nothing_asked_nothing_done() -> None:
    images = _images()
    assert _options().is_off
    assert torch.equal(augment(images, torch.rand(3, 4), _options()), images)


def test_flip_mirrors_the_chosen_ones() -> None:
    images = _images(2)
    flipped = augment(images, torch.tensor([[0.1, 0, 0, 0], [0.9, 0, 0, 0]]), _options(flip=0.5))
    assert torch.equal(flipped[0], images[0].flip(2))
    assert torch.equal(flipped[1], images[1])


def test_rotation_equals_torchvisions() -> None:
    functional = import_torchvision("transforms.v2.functional")
    images = _images(1)
    draw = 0.8  # of -10..10 degrees: 6 degrees
    ours = augment(images, torch.tensor([[1.0, draw, 0, 0]]), _options(rotate=10))[0]
    angle = math.degrees((2 * draw - 1) * math.radians(10))
    both = [
        functional.rotate(images[0], sign * angle, interpolation=functional.InterpolationMode.BILINEAR)
        for sign in (1, -1)
    ]
    assert min(float((ours - theirs).abs().max()) for theirs in both) < 1e-4


def test_brightness_and_contrast_equal_torchvisions() -> None:
    functional = import_torchvision("transforms.v2.functional")
    images = _images(1)
    bright = augment(images, torch.tensor([[1.0, 0, 0.9, 0]]), _options(brightness=0.2))[0]
    assert torch.allclose(bright, functional.adjust_brightness(images[0], 1.16), atol=1e-6)
    contrast = augment(images, torch.tensor([[1.0, 0, 0, 0.1]]), _options(contrast=0.2))[0]
    assert torch.allclose(contrast, functional.adjust_contrast(images[0], 0.84), atol=1e-3)
