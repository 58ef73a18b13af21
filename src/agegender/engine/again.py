"""A second look at a batch after its step: the same faces, the same dropout, nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class SameDraws:
    """Remembers where the random numbers of a forward pass begin."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._states = (torch.get_rng_state(), self._of_device())

    def _of_device(self) -> Tensor | None:
        module = getattr(torch, self._device.type, None)
        state: Tensor | None = None if self._device.type == "cpu" else module.get_rng_state()
        return state

    def _set(self, states: tuple[Tensor, Tensor | None]) -> None:
        torch.set_rng_state(states[0])
        if states[1] is not None:
            getattr(torch, self._device.type).set_rng_state(states[1])

    @contextmanager
    def again(self, network: nn.Module) -> Iterator[None]:
        """The block draws the same numbers; it needs no gradient, and running statistics stay."""
        now = (torch.get_rng_state(), self._of_device())
        buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
        self._set(self._states)
        try:
            with torch.no_grad():
                yield
        finally:
            self._set(now)
            for buffer, before in buffers:
                buffer.copy_(before)
