"""Balancers that follow the tasks' gradients: all they must know are the gradients' inner products."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agegender.balancing.balancer import Balancer, Weights


class GramianBalancer(Balancer):
    """Base of balancers whose weights are a function of the gradients' Gramian.

    Each head follows its own loss. A step in which a task's gradient is 0 is the other's: it weighs 1.
    """

    needs = "gradients"

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        assert gramian_TT is not None
        if not gramian_TT.diagonal().all():
            return Weights.same([1.0] * len(gramian_TT))
        return Weights.shared(self._of(gramian_TT).tolist())

    def _of(self, gramian_TT: Tensor) -> Tensor:
        """Weights (T,) of gradients that are all other than 0."""
        raise NotImplementedError


class TorchJDBalancer(GramianBalancer):
    """Base of balancers whose function is one of TorchJD's, none of which minds the gradients' unit."""

    def __init__(self, weighting: nn.Module) -> None:
        super().__init__()
        self._weighting = weighting

    def _of(self, gramian_TT: Tensor) -> Tensor:
        # some draw an order of the tasks, of no effect where there are two: dropout must not feel it
        with torch.random.fork_rng(devices=[]):
            # the methods' small constants are meant for gradients of order 1
            weights_T: Tensor = self._weighting(gramian_TT / gramian_TT.trace())
        return weights_T
