"""Random loss weighting: the litmus test for every other method."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer, Weights
from agegender.config.options import BalancerOptions
from agegender.core.registry import register
from agegender.core.seeding import stream


@register("balancer", "rlw")
class RandomLossWeighting(Balancer):
    """The softmax of normal numbers, drawn anew for each step, after Lin et al., TMLR 2022."""

    class Options(BalancerOptions):
        """No settings of its own."""

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        super().__init__()
        # of its own, not torch's: every rank must draw the same
        self._generator = torch.Generator().manual_seed(int(stream(seed, "rlw").integers(2**63)))

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        normal_T = torch.randn(len(TASKS), generator=self._generator, dtype=torch.float64)
        return Weights.same(normal_T.softmax(dim=0).tolist())

    def get_extra_state(self) -> Tensor:
        return self._generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        self._generator.set_state(state)
