"""From uint8 faces to what a network takes: changed as asked, normalised as the weights expect."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agegender.config.schema import AugmentOptions
from agegender.core.types import InputSpec
from agegender.data.augment.change import change

_CACHE = 2**20
"""Bytes of float pixels that a CPU core works on at once, so that they stay in its cache."""


class Inputs:
    """Images on a device."""

    def __init__(self, input_spec: InputSpec, device: torch.device) -> None:
        self._device = device
        # a whole row of pixels: channels-last memory has no dimension of channels that is fast to go along
        self._mean_WC = self._row(input_spec.mean, input_spec.size)
        self._std_WC = self._row(input_spec.std, input_spec.size)

    def _row(self, values: tuple[float, float, float], size: int) -> Tensor:
        return torch.tensor(values, device=self._device).mul(255).repeat(size)

    def make(
        self, pixels_BHWC: Tensor, draws_BK: Tensor | None = None, options: AugmentOptions | None = None
    ) -> Tensor:
        """Float images (B, C, H, W) in channels-last memory, which convolutions keep.

        With options each image is changed by its own row of draws.
        """
        pixels_BHWC = pixels_BHWC.to(self._device, non_blocking=True)
        images_BHWC = torch.empty(pixels_BHWC.shape, device=self._device)
        step = self._images_at_once(pixels_BHWC)
        for start in range(0, len(pixels_BHWC), step):
            part = slice(start, start + step)
            images_bHWC = images_BHWC[part]
            if draws_BK is None or options is None:
                images_bHWC.copy_(pixels_BHWC[part])
            else:
                images_bCHW = pixels_BHWC[part].permute(0, 3, 1, 2).float()
                images_bHWC.copy_(change(images_bCHW, draws_BK[part], options).permute(0, 2, 3, 1))
            images_bHWC.flatten(2).sub_(self._mean_WC).div_(self._std_WC)
        return images_BHWC.permute(0, 3, 1, 2)

    def _images_at_once(self, pixels_BHWC: Tensor) -> int:
        if self._device.type != "cpu":
            return max(len(pixels_BHWC), 1)
        per_core = math.ceil(_CACHE / (4 * math.prod(pixels_BHWC.shape[1:])))
        return per_core * torch.get_num_threads()
