"""Nash-MTL: the tasks bargain for the direction."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agegender.balancing.gramian import GramianBalancer
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "nash_mtl")
class NashMTL(GramianBalancer):
    """The bargaining solution w of G w = 1 / w, after Navon et al., ICML 2022.

    G holds the gradients' inner products. Of two tasks it is w = 1 / (|g| sqrt(1 + cosine)): the direction
    halfway between the gradients, whatever their lengths, and so whatever lambda. (The paper's iterations
    by a solver, for any number of tasks, start from weights of 1 and often stay there where gradients of
    unequal length are in conflict.)
    """

    class Options(BalancerOptions):
        """Settings of Nash-MTL."""

        max_norm: float = Field(
            gt=0, le=1e9, description="the sum, sqrt(2) long, is shortened to this norm; the paper's is 1"
        )

    is_blind_to_lambda = True

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        super().__init__()
        self._max_norm = options.max_norm

    def _of(self, gramian_TT: Tensor) -> Tensor:
        norms_T = gramian_TT.diagonal().sqrt()
        cosine = gramian_TT[0, 1] / norms_T.prod()
        weights_T = 1 / (norms_T * (1 + cosine).clamp(min=1e-6).sqrt())
        norm = (weights_T @ gramian_TT @ weights_T).clamp(min=0).sqrt()
        return weights_T * torch.clamp(self._max_norm / norm, max=1.0)
