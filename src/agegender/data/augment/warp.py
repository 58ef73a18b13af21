"""Mirror image, rotation, zoom and shift: one affine map a sample, one bilinear look-up for all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from agegender.config.schema import AugmentOptions
from agegender.data.augment.draws import Draw, factor


def maps(flip_B: Tensor, draws_BK: Tensor, options: AugmentOptions) -> Tensor:
    """Where each pixel comes from: matrices on (x, y, 1), the image being -1..1 on both axes; (B, 2, 3)."""
    angle_B = (2 * draws_BK[:, Draw.ROTATE] - 1) * math.radians(options.rotate)
    zoom_B = factor(draws_BK[:, Draw.ZOOM], options.zoom)
    cos_B, sin_B = angle_B.cos() / zoom_B, angle_B.sin() / zoom_B
    # a share of the side is twice that share of -1..1
    x_B = (2 * draws_BK[:, Draw.SHIFT_X] - 1) * 2 * options.shift
    y_B = (2 * draws_BK[:, Draw.SHIFT_Y] - 1) * 2 * options.shift
    from_x_B3 = torch.stack([cos_B, -sin_B, x_B], 1)
    from_y_B3 = torch.stack([sin_B, cos_B, y_B], 1)
    return torch.stack([torch.where(flip_B[:, None], -from_x_B3, from_x_B3), from_y_B3], 1)


def origins(maps_B23: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """What a pixel's row, (B, 2, H, 1), and its column, (B, 2, 1, W), add to where it comes from.

    Their sum is F.affine_grid, at the cost of one addition a coordinate.
    """
    centres = (2 * torch.arange(size, device=maps_B23.device, dtype=maps_B23.dtype) + 1) / size - 1
    from_row_B2H = maps_B23[:, :, 1:2] * centres + maps_B23[:, :, 2:]
    from_column_B2W = maps_B23[:, :, :1] * centres
    return from_row_B2H[..., None], from_column_B2W[:, :, None]


def warp(images_BCHW: Tensor, from_row_B2H1: Tensor, from_column_B21W: Tensor) -> Tensor:
    """Each image under its own map; what comes from outside of it is black."""
    grid_BHW2 = (from_row_B2H1 + from_column_B21W).permute(0, 2, 3, 1)
    return F.grid_sample(images_BCHW, grid_BHW2, mode="bilinear", padding_mode="zeros", align_corners=False)
