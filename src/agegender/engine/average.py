"""A moving average of the weights, which validates and is kept in place of the weights themselves."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from agegender.models.network import AgeGenderNet

Tensors = tuple[Tensor, ...] | list[Tensor]


class Average:
    """Exponential moving average of weights and running statistics, `decay` a step.

    Its first steps count more, min(decay, (1 + n) / (10 + n)) after n of them, or the first weights would
    weigh on a short run to its end. It starts anew with each phase.
    """

    def __init__(self, network: AgeGenderNet, decay: float) -> None:
        self._decay = decay
        self._model = AveragedModel(network, multi_avg_fn=self._update, use_buffers=True)

    @property
    def network(self) -> AgeGenderNet:
        return cast("AgeGenderNet", self._model.module)

    def update(self, network: AgeGenderNet) -> None:
        """Take the weights after a step."""
        self._model.update_parameters(network)

    def restart(self) -> None:
        """The next weights replace the average."""
        self._model.n_averaged.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self._model.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self._model.load_state_dict(state)

    @torch.no_grad()
    def _update(self, averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        steps = int(count)
        decay = min(self._decay, (1 + steps) / (10 + steps))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:  # how many batches a norm has seen
                mean.copy_(value)
