"""Random changes of training images on the device: every sample has its own, whatever its batch.

The published recipe: horizontal flip, rotation, then brightness and contrast.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from agegender.config.schema import AugmentOptions
from agegender.core.seeding import stream

DRAWS = 4
"""Uniform numbers that one sample needs in one epoch."""

_LUMA = (0.299, 0.587, 0.114)


def draws(seed: int, epoch: int, samples: int) -> np.ndarray:
    """Uniforms in 0..1, (samples, DRAWS): a sample's row depends on (seed, epoch, sample) alone."""
    return stream(seed, "augment", epoch).random((samples, DRAWS), dtype=np.float32)


def augment(images_BCHW: Tensor, draws_BK: Tensor, options: AugmentOptions) -> Tensor:
    """Augmented copies of images (values 0..1), given each sample's uniform draws."""
    flip_B = draws_BK[:, 0] < options.flip
    angle_B = (2 * draws_BK[:, 1] - 1) * math.radians(options.rotate)
    if options.flip or options.rotate:
        images_BCHW = _flip_and_rotate(images_BCHW, flip_B, angle_B, bool(options.rotate))
    if options.brightness:
        factor_B = 1 + (2 * draws_BK[:, 2] - 1) * options.brightness
        images_BCHW = (images_BCHW * factor_B[:, None, None, None]).clamp(0, 1)
    if options.contrast:
        factor_B = 1 + (2 * draws_BK[:, 3] - 1) * options.contrast
        images_BCHW = _contrast(images_BCHW, factor_B)
    return images_BCHW


def _flip_and_rotate(images_BCHW: Tensor, flip_B: Tensor, angle_B: Tensor, rotates: bool) -> Tensor:
    flipped = torch.where(flip_B[:, None, None, None], images_BCHW.flip(3), images_BCHW)
    if not rotates:
        return flipped
    cos_B, sin_B, zero_B = angle_B.cos(), angle_B.sin(), torch.zeros_like(angle_B)
    matrix_B23 = torch.stack(
        [torch.stack([cos_B, -sin_B, zero_B], 1), torch.stack([sin_B, cos_B, zero_B], 1)], 1
    )
    grid = F.affine_grid(matrix_B23, list(flipped.shape), align_corners=False)
    return F.grid_sample(flipped, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _contrast(images_BCHW: Tensor, factor_B: Tensor) -> Tensor:
    """Blend with the mean grey level of each image, as torchvision's ColorJitter does."""
    luma_C = images_BCHW.new_tensor(_LUMA)
    mean_B111 = (images_BCHW * luma_C[:, None, None]).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    factor_B111 = factor_B[:, None, None, None]
    return (factor_B111 * images_BCHW + (1 - factor_B111) * mean_B111).clamp(0, 1)
