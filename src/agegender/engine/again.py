"""A second look at a batch after its step: the same faces, the same dropout, nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from agegender.engine.last import rng_state, set_rng_state


class SameDraws:
    """Remembers where the random numbers of a forward pass begin."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._state = device, rng_state(device)

    @contextmanager
    def again(self, network: nn.Module) -> Iterator[None]:
        """The block draws the same numbers; it needs no gradient, and running statistics stay."""
        now = rng_state(self._device)
        buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
        set_rng_state(self._state, self._device)
        try:
            with torch.no_grad():
                yield
                for buffer, before in buffers:
                    buffer.copy_(before)
        finally:
            set_rng_state(now, self._device)
