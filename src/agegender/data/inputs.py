"""From uint8 faces to what a network takes: changed as asked, normalised as the weights expect."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agegender.config.schema import AugmentOptions
from agegender.core.types import InputSpec
from agegender.data.augment.plan import make_plan

_CACHE = 2**20
"""Bytes of float pixels that a CPU core works on at once, so that they stay in its cache."""


class Inputs:
    """Images on a device."""

    def __init__(self, input_spec: InputSpec, device: torch.device) -> None:
        self._device, self._size = device, input_spec.size
        # for a whole row of pixels: three values at a time would be slow
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
        plan = None if draws_BK is None or options is None else make_plan(draws_BK, options, self._size)
        made_BHWC = torch.empty(pixels_BHWC.shape, device=self._device)
        step = self._images_at_once()
        for start in range(0, len(pixels_BHWC), step):
            part = slice(start, start + step)
            images_bHWC = pixels_BHWC[part].float()
            if plan is not None:
                changed_bCHW = plan[part].apply(images_bHWC.permute(0, 3, 1, 2))
                images_bHWC = changed_bCHW.permute(0, 2, 3, 1).contiguous()
            centred = images_bHWC.flatten(2).sub_(self._mean_WC)
            torch.div(centred, self._std_WC, out=made_BHWC[part].flatten(2))
        return made_BHWC.permute(0, 3, 1, 2)

    def _images_at_once(self) -> int:
        if self._device.type != "cpu":
            return 2**16
        return math.ceil(_CACHE / (3 * 4 * self._size**2)) * torch.get_num_threads()
