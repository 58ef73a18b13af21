"""Balancers that follow the tasks' gradients: all they must know are the gradients' inner products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from agegender.balancing.balancer import TASKS, Balancer, Weights
from agegender.core.errors import UserError


class GramianBalancer(Balancer):
    """Base of balancers whose weights are a function of the gradients' Gramian.

    Each head follows its own loss.
    """

    needs = "gradients"

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        """`make` makes the function; UserError with an install hint where it lacks a library."""
        super().__init__()
        try:
            self._weighting = make()
        except ImportError as error:
            raise UserError(
                f"{error}; agegender's own extra is: pip install 'agegender[balancers]'"
            ) from error

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        assert gramian_TT is not None
        if not gramian_TT.trace():
            return Weights.same([1.0] * len(TASKS))  # nothing to weigh
        return Weights.shared(self._of(gramian_TT))

    def _of(self, gramian_TT: Tensor) -> list[float]:
        # some draw an order of the tasks, of no effect where there are two: dropout must not feel it
        with torch.random.fork_rng(devices=[]):
            # the methods' small constants are meant for gradients of order 1
            weights_T: Tensor = self._weighting(gramian_TT / gramian_TT.trace())
        return list(weights_T.tolist())
