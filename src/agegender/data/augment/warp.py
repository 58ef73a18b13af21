"""Mirror image, rotation, zoom and shift: one affine map a sample, one bilinear look-up for all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from agegender.config.schema import AugmentOptions
from agegender.data.augment.draws import Draw, factor


def warp(images_BCHW: Tensor, draws_BK: Tensor, options: AugmentOptions) -> Tensor:
    """Each image under its own map; what comes from outside of it is black."""
    flip_B = draws_BK[:, Draw.FLIP] < options.flip
    if options.rotate or options.zoom or options.shift:
        return _sample(images_BCHW, _maps(flip_B, draws_BK, options))
    if options.flip:
        images_BCHW[flip_B] = images_BCHW[flip_B].flip(3)
    return images_BCHW


def _maps(flip_B: Tensor, draws_BK: Tensor, options: AugmentOptions) -> Tensor:
    """Where each pixel comes from: matrices on (x, y, 1), the image being -1..1 on both axes."""
    angle_B = (2 * draws_BK[:, Draw.ROTATE] - 1) * math.radians(options.rotate)
    zoom_B = factor(draws_BK[:, Draw.ZOOM], options.zoom)
    cos_B, sin_B = angle_B.cos() / zoom_B, angle_B.sin() / zoom_B
    # a share of the side is twice that share of -1..1
    x_B = (2 * draws_BK[:, Draw.SHIFT_X] - 1) * 2 * options.shift
    y_B = (2 * draws_BK[:, Draw.SHIFT_Y] - 1) * 2 * options.shift
    from_x_B3 = torch.stack([cos_B, -sin_B, x_B], 1)
    from_y_B3 = torch.stack([sin_B, cos_B, y_B], 1)
    return torch.stack([torch.where(flip_B[:, None], -from_x_B3, from_x_B3), from_y_B3], 1)


def _sample(images_BCHW: Tensor, maps_B23: Tensor) -> Tensor:
    height, width = images_BCHW.shape[2:]
    x_W, y_H = _centres(width, images_BCHW), _centres(height, images_BCHW)
    # F.affine_grid, ten times as fast: of a map's three terms only their sum is as large as the image
    from_row_B2H1 = (maps_B23[:, :, 1:2] * y_H + maps_B23[:, :, 2:])[..., None]
    from_column_B21W = (maps_B23[:, :, :1] * x_W)[:, :, None]
    grid_BHW2 = (from_row_B2H1 + from_column_B21W).permute(0, 2, 3, 1)
    return F.grid_sample(images_BCHW, grid_BHW2, mode="bilinear", padding_mode="zeros", align_corners=False)


def _centres(pixels: int, like: Tensor) -> Tensor:
    """Centres of a row of pixels that fills -1..1."""
    return (2 * torch.arange(pixels, device=like.device, dtype=like.dtype) + 1) / pixels - 1
