"""What every balancer is: it says what each task's gradient weighs in a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from agegender.config.options import BalancerOptions

TASKS = ("age", "gender")
"""Order of the tasks in every vector of losses or weights."""


@dataclass(frozen=True)
class Weights:
    """What multiplies each task's gradient, in the order of `TASKS`."""

    shared_T: tuple[float, ...]
    """On the parameters that all tasks share."""
    heads_T: tuple[float, ...]
    """On the parameters of the task's own head."""

    @classmethod
    def same(cls, weights_T: Sequence[float]) -> Weights:
        """A weight of the loss itself, hence of everything below it."""
        return cls(tuple(weights_T), tuple(weights_T))

    @classmethod
    def shared(cls, weights_T: Sequence[float]) -> Weights:
        """A weight on shared parameters alone; each head follows its own loss."""
        return cls(tuple(weights_T), (1.0,) * len(TASKS))


@dataclass(frozen=True)
class Seen:
    """What a step was like that has changed the weights; every task had labels in it."""

    losses_T: list[float]
    probe_norms_T: list[float] | None
    """Norm of each task's gradient on the last shared layer; None where that is frozen."""
    look_again: Callable[[], list[float]]
    """The losses of the same faces (and dropout) after the step, at the cost of a forward pass."""


class Balancer(nn.Module):
    """Base of all balancers, built as `Balancer(options, seed)`; its whole state is in `state_dict`.

    Lambda is applied before balancing, the same in every balancer: losses, gradients and norms arrive
    weighted by it, of the step's whole batch, summed over its parts and over ranks. Computed on the CPU.

    A step whose faces have labels of one task alone is not balanced: its weights are those of the last
    balanced step, and the balancer learns nothing from it.
    """

    Options: ClassVar[type[BalancerOptions]]

    needs: ClassVar[Literal["nothing", "losses", "gradients"]] = "nothing"
    """What the weights of a step follow from, beside the balancer's state: nothing of the step, its losses,
    or the tasks' gradients on the shared parameters (a backward pass a task)."""
    is_blind_to_lambda: ClassVar[bool] = False
    """Whether it undoes a task's weight, at once or in the long run."""
    probes_last_layer: ClassVar[bool] = False
    """Whether `learn` needs the gradients' norms on the last shared layer, at the cost of a backward pass
    a task down to that layer."""
    looks_again: ClassVar[bool] = False
    """Whether `learn` needs the losses after the step."""
    trained: ClassVar[tuple[str, ...]] = TASKS
    """Tasks whose labels it cannot do without."""

    kept_T2: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept_T2", torch.ones(len(TASKS), 2, dtype=torch.float64))

    def weights(self, losses_T: Sequence[float], gramian_TT: Tensor | None = None) -> Weights:
        """The weights of a step; `gramian_TT` (float64) holds the tasks' gradients' inner products.

        It is given where the balancer `needs` gradients.
        """
        weights = self._weigh(losses_T, gramian_TT)
        self.kept_T2.copy_(torch.tensor([weights.shared_T, weights.heads_T], dtype=torch.float64).T)
        return weights

    def kept(self) -> Weights:
        """The weights of the last balanced step."""
        shared_T, heads_T = self.kept_T2.T.tolist()
        return Weights(tuple(shared_T), tuple(heads_T))

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:
        raise NotImplementedError

    def learn(self, seen: Seen) -> None:
        """Change the balancer's own state after a step."""

    def end_epoch(self, losses_T: Sequence[float | None]) -> None:
        """Take an epoch's mean training loss of each task, before any weight; None without labels."""
