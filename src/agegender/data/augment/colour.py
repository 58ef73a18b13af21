"""Brightness, contrast, saturation: torchvision's ColorJitter, a factor a sample, values 0..255, in place."""

from __future__ import annotations

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)


def brighten_(images_BCHW: Tensor, factor_B: Tensor) -> None:
    """Every value times the factor."""
    images_BCHW.mul_(factor_B[:, None, None, None]).clamp_(max=255)


def contrast_(images_BCHW: Tensor, factor_B: Tensor) -> None:
    """Away from the mean grey level of the image, or towards it."""
    # luma is linear: that of the mean colour is the mean luma, without a grey image
    grey_B = (images_BCHW.mean((2, 3)) * _luma(images_BCHW)).sum(1)  # no BLAS: its bits follow the batch
    _blend_(images_BCHW, grey_B[:, None, None, None], factor_B)


def saturate_(images_BCHW: Tensor, factor_B: Tensor) -> None:
    """Away from the grey image, or towards it."""
    grey_BN = torch.matmul(_luma(images_BCHW), images_BCHW.flatten(2))
    _blend_(images_BCHW, grey_BN.view_as(images_BCHW[:, :1]), factor_B)


def _blend_(images_BCHW: Tensor, grey_B1HW: Tensor, factor_B: Tensor) -> None:
    factor_B111 = factor_B[:, None, None, None]
    images_BCHW.mul_(factor_B111).add_((1 - factor_B111) * grey_B1HW).clamp_(0, 255)


def _luma(like: Tensor) -> Tensor:
    return like.new_tensor(_LUMA)
