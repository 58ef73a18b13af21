"""Balancers that follow a function of the losses: a task's weight is that function's slope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from agegender.balancing.balancer import Balancer, Seen, Weights


def slopes(scalarizer: nn.Module, losses_T: Sequence[float]) -> list[float]:
    """Derivative of `scalarizer(losses)` by each loss."""
    values_T = torch.tensor(losses_T, requires_grad=True)
    (slopes_T,) = torch.autograd.grad(scalarizer(values_T), values_T)
    return list(slopes_T.tolist())


class Scalarized(Balancer):
    """Base of balancers whose function has no parameters to learn."""

    def __init__(self, scalarizer: nn.Module) -> None:
        super().__init__()
        self._scalarizer = scalarizer

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        return Weights.same(slopes(self._scalarizer, losses_T))


class LearnedScalarized(Scalarized):
    """Base of balancers whose function's own parameters go down its slope, too, by an Adam of their own.

    They stand apart from the network's optimizer: its learning rates (1e-5 in a published phase) would
    leave them where they began, and their gradient is none that `schedule.clip_norm` should see.
    """

    def __init__(self, scalarizer: nn.Module, lr: float) -> None:
        super().__init__(scalarizer)
        self._optimizer = torch.optim.Adam(scalarizer.parameters(), lr=lr)

    def learn(self, seen: Seen) -> None:
        self._optimizer.zero_grad()
        self._scalarizer(torch.tensor(seen.losses_T)).backward()
        self._optimizer.step()

    def get_extra_state(self) -> dict[str, Any]:
        return self._optimizer.state_dict()

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        self._optimizer.load_state_dict(dict(state))
