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


def erase_(images_BCHW: Tensor, draws_BK: Tensor, probability: float) -> None:
    """Erase a rectangle of its own from each image that draws one, in place."""
    kept_B1HW = 1 - rectangles(draws_BK, probability, *images_BCHW.shape[2:])[:, None]
    # arithmetic on whole images: it needs no list of the chosen ones, and torch.where is slower
    mean_BC11 = images_BCHW.mean((2, 3), keepdim=True)
    images_BCHW.sub_(mean_BC11).mul_(kept_B1HW).add_(mean_BC11)


def rectangles(draws_BK: Tensor, probability: float, height: int, width: int) -> Tensor:
    """1 within each sample's rectangle, else 0; (B, H, W)."""
    area_B = between(draws_BK[:, Draw.ERASE_AREA], *AREA) * height * width
    aspect_B = between(draws_BK[:, Draw.ERASE_ASPECT], *map(math.log, ASPECT)).exp()
    is_chosen_B = draws_BK[:, Draw.ERASE] < probability
    down_BH = _span((area_B * aspect_B).sqrt(), draws_BK[:, Draw.ERASE_Y], height)
    across_BW = _span((area_B / aspect_B).sqrt(), draws_BK[:, Draw.ERASE_X], width)
    return (is_chosen_B[:, None] * down_BH)[:, :, None] * across_BW[:, None]


def _span(length_B: Tensor, draw_B: Tensor, pixels: int) -> Tensor:
    """1 where a pixel lies in a span of that length, which lies anywhere in the row with equal chance."""
    length_B = length_B.round().clamp(1, pixels)
    start_B = (draw_B * (pixels - length_B + 1)).floor()
    place = torch.arange(pixels, device=draw_B.device)
    return ((place >= start_B[:, None]) & (place < (start_B + length_B)[:, None])).to(draw_B.dtype)
