"""FAMO: all losses fall at the same relative rate, from loss values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer, Seen, Weights
from agegender.balancing.scalarized import slopes
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "famo")
class FastAdaptive(Balancer):
    """Goes down the weighted logarithms of the losses, after Liu et al., NeurIPS 2023.

    The weights learn from how much each logarithm fell in the step: the step's faces go through the
    network once more, forward. Logarithms do not know lambda.
    """

    class Options(BalancerOptions):
        """Settings of FAMO."""

        lr: float = Field(
            gt=0, le=10, description="Adam's rate for the weights' logits; the paper's is 0.025"
        )
        weight_decay: float = Field(
            ge=0, le=10, description="pulls the weights together; the paper's is 0.001"
        )

    needs = "losses"
    is_blind_to_lambda = True
    looks_again = True

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.scalarization import FAMO

        super().__init__()
        self._method = FAMO(len(TASKS), lr=options.lr, weight_decay=options.weight_decay)
        self._method._optimizer = self._adam()  # made in front of the first step, to be in the state

    def _adam(self) -> torch.optim.Adam:
        method = self._method
        return torch.optim.Adam([method._w], lr=method.lr, weight_decay=method.weight_decay)

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        return Weights.same(slopes(self._method, losses_T))

    def learn(self, seen: Seen) -> None:
        self._method.update(torch.tensor(seen.look_again()))

    def get_extra_state(self) -> dict[str, Any]:
        """TorchJD keeps the logits' optimizer outside of state_dict."""
        assert self._method._optimizer is not None
        return self._method._optimizer.state_dict()

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        optimizer = self._adam()
        optimizer.load_state_dict(dict(state))
        self._method._optimizer = optimizer
