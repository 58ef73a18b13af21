"""Random erasing (Zhong et al., 2017): a rectangle of the image's mean colour."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agegender.data.augment.draws import Draw, between

AREA = (0.02, 0.2)
"""Smallest and largest share of the image; uniform."""
ASPECT = (0.3, 3.3)
"""Smallest and largest height / width; its logarithm is uniform. With AREA every rectangle fits."""


def rectangles(draws_BK: Tensor, probability: float, size: int) -> tuple[Tensor, Tensor]:
    """1 for the rows, (B, H), and for the columns, (B, W), of each sample's rectangle, else 0."""
    area_B = between(draws_BK[:, Draw.ERASE_AREA], *AREA) * size**2
    aspect_B = between(draws_BK[:, Draw.ERASE_ASPECT], *map(math.log, ASPECT)).exp()
    is_chosen_B = draws_BK[:, Draw.ERASE] < probability
    rows_BH = _span((area_B * aspect_B).sqrt(), draws_BK[:, Draw.ERASE_Y], size)
    columns_BW = _span((area_B / aspect_B).sqrt(), draws_BK[:, Draw.ERASE_X], size)
    return rows_BH * is_chosen_B[:, None], columns_BW


def erase_(images_BCHW: Tensor, rows_BH: Tensor, columns_BW: Tensor) -> None:
    """Give each image's rectangle its mean colour, in place."""
    kept_B1HW = (1 - rows_BH[:, :, None] * columns_BW[:, None])[:, None]
    # arithmetic on whole images: it needs no list of the chosen ones, and torch.where is slower
    mean_BC11 = images_BCHW.mean((2, 3), keepdim=True)
    images_BCHW.sub_(mean_BC11).mul_(kept_B1HW).add_(mean_BC11)


def _span(length_B: Tensor, draw_B: Tensor, pixels: int) -> Tensor:
    """1 where a pixel lies in a span of that length, which lies anywhere in the row with equal chance."""
    length_B = length_B.round().clamp(1, pixels)
    start_B = (draw_B * (pixels - length_B + 1)).floor()
    place = torch.arange(pixels, device=draw_B.device)
    return ((place >= start_B[:, None]) & (place < (start_B + length_B)[:, None])).to(draw_B.dtype)
