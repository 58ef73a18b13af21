"""Augmentation: own draws for every sample, equal to torchvision's operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from agegender.core.seeding import stream
from agegender.core.torchvision_shim import import_torchvision
from agegender.core.types import InputSpec
from agegender.data import inputs
from agegender.data.augment.draws import Draw, draws
from agegender.data.augment.erase import AREA, ASPECT, rectangles
from agegender.data.augment.plan import make_plan
from agegender.data.inputs import Inputs
from tests.augmentation import augmentation

SIZE = 24
ALONE = {
    "flip": 0.5,
    "rotate": 10.0,
    "zoom": 0.2,
    "shift": 0.1,
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": 0.2,
    "grayscale": 0.5,
    "erase": 0.5,
}
"""Every option that changes an image on its own."""


def _images(count: int = 3, size: int = SIZE) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def _drawn(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(draws(seed, 1, count))


def _draw(**values: float) -> torch.Tensor:
    """One sample's draws: those given, and for the others what changes nothing."""
    row = torch.full((1, len(Draw)), 0.5)
    for chance in (Draw.FLIP, Draw.GRAYSCALE, Draw.ERASE):
        row[:, chance] = 1
    for name, value in values.items():
        row[:, Draw[name.upper()]] = value
    return row


def _changed(images_BCHW: torch.Tensor, draws_BK: torch.Tensor, **values: float) -> torch.Tensor:
    """Changed copies of images with values 0..1."""
    return _apply(images_BCHW, draws_BK, augmentation(**values))


def _apply(images_BCHW: torch.Tensor, draws_BK: torch.Tensor, options: Any) -> torch.Tensor:
    return make_plan(draws_BK, options, images_BCHW.shape[-1]).apply(images_BCHW * 255) / 255


def _functional() -> Any:
    return import_torchvision("transforms.v2.functional")


def test_draws_belong_to_the_sample_not_to_its_batch() -> None:
    few, many = draws(seed=1, epoch=2, samples=5), draws(seed=1, epoch=2, samples=50)
    assert np.array_equal(few, many[:5])
    assert not np.array_equal(few, draws(1, 3, 5))
    assert not np.array_equal(few, draws(2, 2, 5))


def test_what_the_published_recipe_draws_stays_as_it_was() -> None:
    expected = stream(3, "augment", 2).random((20, 4), dtype=np.float32)
    columns = [Draw.FLIP, Draw.ROTATE, Draw.BRIGHTNESS, Draw.CONTRAST]
    assert np.array_equal(draws(3, 2, 20)[:, columns], expected)


@pytest.mark.parametrize("option", ALONE)
def test_every_option_changes_each_sample_in_its_own_way(option: str) -> None:
    image = _images(1)
    changed = _changed(image.expand(16, -1, -1, -1), _drawn(16), **{option: ALONE[option]})
    untouched = [torch.allclose(image[0], each, atol=1e-3) for each in changed]
    different = len(torch.unique(changed.flatten(1), dim=0))
    if option in ("flip", "grayscale", "erase"):  # a matter of chance
        assert 0 < sum(untouched) < 16
        assert different == 2 if option != "erase" else different > 2
    else:
        assert not any(untouched)
        assert different == 16


@pytest.mark.parametrize("preset", ["published", "strong"])
def test_two_samples_of_a_batch_differ(preset: str) -> None:
    image = _images(1).expand(2, -1, -1, -1)
    first, second = _apply(image, _drawn(2), augmentation(preset))
    assert not torch.allclose(first, second, atol=0.01)


def test_nothing_asked_nothing_done() -> None:
    images = _images() * 255
    options = augmentation("none")
    assert options.is_off
    assert torch.equal(make_plan(_drawn(3), options, SIZE).apply(images.clone()), images)
    assert not augmentation(mixup=0.1).is_off
    for option, value in ALONE.items():
        assert not augmentation(**{option: value}).is_off


def test_flip_mirrors_the_chosen_ones() -> None:
    images = _images(2)
    flipped = _changed(images, torch.cat([_draw(flip=0.1), _draw(flip=0.9)]), flip=0.5)
    assert torch.equal(flipped[0], (images[0].flip(2) * 255) / 255)
    assert torch.equal(flipped[1], (images[1] * 255) / 255)


def test_rotation_equals_torchvisions() -> None:
    images = _images(1)
    draw = 0.8  # of -10..10 degrees: 6 degrees
    ours = _changed(images, _draw(rotate=draw), rotate=10)[0]
    angle = math.degrees((2 * draw - 1) * math.radians(10))
    bilinear = _functional().InterpolationMode.BILINEAR
    both = [_functional().rotate(images[0], sign * angle, interpolation=bilinear) for sign in (1, -1)]
    assert min(float((ours - theirs).abs().max()) for theirs in both) < 1e-4


def test_zoom_and_shift_equal_torchvisions() -> None:
    images = _images(1)
    bilinear = _functional().InterpolationMode.BILINEAR

    def theirs(scale: float, translate: list[int]) -> torch.Tensor:
        return torch.as_tensor(
            _functional().affine(images[0], 0.0, translate, scale, [0.0, 0.0], interpolation=bilinear)
        )

    larger = _changed(images, _draw(zoom=0.75), zoom=0.4)[0]
    assert torch.allclose(larger, theirs(1.2, [0, 0]), atol=1e-4)
    # 3 px of 24 to the left and 1.5 up would be the extremes of 0.25 and 0.125
    moved = _changed(images, _draw(shift_x=0.75, shift_y=0.25), shift=0.25)[0]
    assert torch.allclose(moved, theirs(1.0, [-3, 3]), atol=1e-4)


def test_colours_equal_torchvisions() -> None:
    images = _images(1)
    functional = _functional()
    bright = _changed(images, _draw(brightness=0.9), brightness=0.2)[0]
    assert torch.allclose(bright, functional.adjust_brightness(images[0], 1.16), atol=1e-6)
    contrast = _changed(images, _draw(contrast=0.1), contrast=0.2)[0]
    assert torch.allclose(contrast, functional.adjust_contrast(images[0], 0.84), atol=1e-3)
    saturated = _changed(images, _draw(saturation=0.9), saturation=0.5)[0]
    assert torch.allclose(saturated, functional.adjust_saturation(images[0], 1.4), atol=1e-3)
    grey = _changed(images, _draw(grayscale=0.1), grayscale=0.2)[0]
    assert torch.allclose(grey, functional.rgb_to_grayscale(images[0], 3), atol=1e-3)


def test_the_published_recipe_is_its_operations_one_by_one() -> None:
    images, drawn = _images(32), _drawn(32)
    functional = _functional()
    for image, row, ours in zip(images, drawn, _apply(images, drawn, augmentation("published")), strict=True):
        expected = image.flip(2) if row[Draw.FLIP] < 0.5 else image
        expected = functional.rotate(
            expected,
            10 * float(2 * row[Draw.ROTATE] - 1),
            interpolation=functional.InterpolationMode.BILINEAR,
        )
        expected = functional.adjust_brightness(expected, 1 + 0.2 * float(2 * row[Draw.BRIGHTNESS] - 1))
        expected = functional.adjust_contrast(expected, 1 + 0.2 * float(2 * row[Draw.CONTRAST] - 1))
        assert torch.allclose(ours, expected, atol=1e-3)


def _measures(images_BCHW: torch.Tensor) -> np.ndarray:
    """What tells the four changes of a bar on grey ground apart: side, angle, mean and spread; (B, 4)."""
    grey_BHW = images_BCHW.mean(1)
    axis = torch.arange(images_BCHW.shape[-1]) - (images_BCHW.shape[-1] - 1) / 2
    inside = grey_BHW[:, 6:-6, 6:-6]  # without the black corners
    bar_BHW = (inside - inside.amin((1, 2), keepdim=True)).clamp(min=0)
    y_HW, x_HW = torch.meshgrid(axis[6:-6], axis[6:-6], indexing="ij")
    mass_B = bar_BHW.sum((1, 2))
    x_B, y_B = (bar_BHW * x_HW).sum((1, 2)) / mass_B, (bar_BHW * y_HW).sum((1, 2)) / mass_B
    dx, dy = x_HW - x_B[:, None, None], y_HW - y_B[:, None, None]
    xx, yy, xy = ((bar_BHW * each).sum((1, 2)) for each in (dx * dx, dy * dy, dx * dy))
    angle_B = 0.5 * torch.atan2(2 * xy, xx - yy)
    return torch.stack([x_B, angle_B, inside.mean((1, 2)), inside.std((1, 2))], 1).numpy()


def test_the_published_recipe_is_distributed_as_torchvisions() -> None:
    """The measures of a thousand images; the order of torchvision's colours is random and matters little."""
    v2 = import_torchvision("transforms.v2")
    axis = torch.arange(32) - 15.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    image = (0.3 + 0.3 * torch.exp(-((x - 3) ** 2) / 18 - y**2 / 3)).expand(3, -1, -1).contiguous()
    recipe = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomRotation(10, interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
        ]
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = _measures(torch.stack([recipe(image) for _ in range(1000)]))
    ours = _measures(_apply(image.expand(1000, -1, -1, -1), _drawn(1000), augmentation("published")))
    assert abs((ours[:, 0] < 0).mean() - (theirs[:, 0] < 0).mean()) < 0.07
    for measure in range(4):
        assert stats.ks_2samp(ours[:, measure], theirs[:, measure]).pvalue > 0.01


def test_rectangles_keep_to_area_and_aspect() -> None:
    size = 200
    rows_BH, columns_BW = rectangles(_drawn(4000), 0.25, size)
    height_B, width_B = rows_BH.sum(1), columns_BW.sum(1)
    chosen = height_B > 0
    assert abs(float(chosen.float().mean()) - 0.25) < 0.03
    height, width = height_B[chosen], width_B[chosen]
    area, aspect = height * width / size**2, height / width
    assert AREA[0] * 0.97 < area.min()
    assert area.max() < AREA[1] * 1.03
    assert ASPECT[0] * 0.97 < aspect.min()
    assert aspect.max() < ASPECT[1] * 1.03
    assert stats.kstest(area.numpy(), stats.uniform(AREA[0], AREA[1] - AREA[0]).cdf).pvalue > 0.01
    # connected, whole within the image, anywhere in it
    assert ((rows_BH.diff(dim=1) != 0).sum(1) <= 2).all()
    start = rows_BH[chosen].argmax(1) / (size - height)
    assert start.max() <= 1
    assert stats.kstest(start.numpy(), stats.uniform.cdf).pvalue > 0.01


def test_what_is_erased_takes_the_mean_colour_and_the_rest_stays() -> None:
    images = _images(8)
    drawn = _drawn(8)
    erased = _changed(images, drawn, erase=1.0)
    rows_BH, columns_BW = rectangles(drawn, 1.0, SIZE)
    inside = (rows_BH[:, :, None] * columns_BW[:, None] > 0)[:, None].expand_as(images)
    assert torch.allclose(erased[~inside], images[~inside], atol=1e-5)
    mean = images.mean((2, 3), keepdim=True).expand_as(images)
    assert torch.allclose(erased[inside], mean[inside], atol=1e-5)


@pytest.mark.parametrize("preset", ["none", "published", "strong"])
def test_an_image_does_not_depend_on_what_is_made_with_it(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = torch.randint(0, 256, (9, SIZE, SIZE, 3), dtype=torch.uint8)
    make = Inputs(InputSpec(SIZE, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)), torch.device("cpu")).make
    options, drawn = augmentation(preset), _drawn(9)
    whole = make(pixels, drawn, options)
    assert whole.is_contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(inputs, "_CACHE", 2 * SIZE * SIZE * 3 * 4)
    assert torch.equal(make(pixels, drawn, options), whole)
    order = torch.tensor([5, 2, 7])
    assert torch.equal(make(pixels[order], drawn[order], options), whole[order])
