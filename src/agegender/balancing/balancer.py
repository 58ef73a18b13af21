"""What every balancer is: the one call that owns the backward pass of all task losses."""

from __future__ import annotations

from torch import Tensor, nn

TASKS = ("age", "gender")
"""Order of the tasks in every vector of losses or weights."""


class Balancer(nn.Module):
    """Base of all balancers, built as `Balancer(options)`; its whole state is in `state_dict`.

    Lambda is applied before balancing, the same in every balancer: `losses_T` arrives weighted.
    """

    backward_passes: int
    """How many backward passes through the backbone a step costs."""

    def backward(self, losses_T: list[Tensor]) -> list[float]:
        """Fill the gradients from one scalar loss a task, in the order of `TASKS`.

        Returns the weights it used, relative to the losses it was given.
        """
        raise NotImplementedError
