"""Balancers that follow a function of the losses: a task's weight is that function's slope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

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
    leave them where they began, and their gradient is none that `schedule.clip_norm` should see. They begin
    where the first step's losses have them rest: to get there from 1 takes hundreds of steps where ages
    count in years squared, and the network's own Adam would long remember gradients of that size.
    """

    at_rest: ClassVar[float]
    """Where a loss that stands still has its parameter, as a multiple of the loss's logarithm."""

    is_started: Tensor

    def __init__(self, scalarizer: nn.Module, lr: float) -> None:
        super().__init__(scalarizer)
        self.register_buffer("is_started", torch.tensor(False))
        self._optimizer = torch.optim.Adam(scalarizer.parameters(), lr=lr)

    @property
    def needs(self) -> Literal["nothing", "losses"]:  # type: ignore[override]
        """The first step's losses."""
        return "nothing" if self.is_started else "losses"

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:
        if not self.is_started:
            (own_T,) = self._scalarizer.parameters()
            with torch.no_grad():
                own_T.copy_(self.at_rest * torch.tensor(losses_T).clamp(min=1e-6).log())
            self.is_started.fill_(True)
        return super()._weigh(losses_T, gramian_TT)

    def learn(self, seen: Seen) -> None:
        self._optimizer.zero_grad()
        self._scalarizer(torch.tensor(seen.losses_T)).backward()
        self._optimizer.step()

    def get_extra_state(self) -> dict[str, Any]:
        return self._optimizer.state_dict()

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        self._optimizer.load_state_dict(dict(state))
