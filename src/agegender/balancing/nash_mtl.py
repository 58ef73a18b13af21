"""Nash-MTL: the tasks bargain for the direction."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from agegender.balancing.balancer import TASKS
from agegender.balancing.gramian import GramianBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "nash_mtl")
class NashMTL(GramianBalancer):
    """The bargaining solution, after Navon et al., ICML 2022; it does not know the gradients' scales."""

    class Options(BalancerOptions):
        """Settings of Nash-MTL."""

        max_norm: float = Field(
            ge=0, le=1e9, description="a longer sum is shortened to this norm; 0: never; the paper's is 1"
        )
        iterations: int = Field(ge=1, le=10_000, description="of the solver, at most; the paper's are 20")

    is_blind_to_lambda = True

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.aggregation import NashMTL as Method

        super().__init__(
            lambda: Method(len(TASKS), options.max_norm, optim_niter=options.iterations).weighting
        )

    def _of(self, gramian_TT: Tensor) -> list[float]:
        # rows with these inner products stand for the gradients themselves
        values_T, vectors_TT = torch.linalg.eigh(gramian_TT)
        rows_TT = vectors_TT * values_T.clamp(min=0).sqrt()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a solution that may be inaccurate, step by step
            weights_T: Tensor = self._weighting(rows_TT)
        return list(weights_T.tolist())

    def get_extra_state(self) -> list[float]:
        """The last solution, from which the next search starts."""
        previous_T: Sequence[float] = np.asarray(self._weighting.prvs_alpha, dtype=np.float64).tolist()
        return list(previous_T)

    def set_extra_state(self, state: Any) -> None:
        self._weighting.reset()
        self._weighting.prvs_alpha = np.array(state, dtype=np.float64)
