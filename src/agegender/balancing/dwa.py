"""Dynamic weight average: the task whose loss fell least over the last two epochs weighs more."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer, Weights
from agegender.balancing.scalarized import slopes
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "dwa")
class DynamicWeightAverage(Balancer):
    """Weights T * softmax(L(t-1) / L(t-2) / temperature), after Liu et al., CVPR 2019; 1 in two epochs.

    L are an epoch's mean training losses. Lambda cancels in their ratio and goes on to multiply the
    gender loss.
    """

    class Options(BalancerOptions):
        """Settings of DWA."""

        temperature: float = Field(gt=0, le=1e6, description="large: equal weights; the paper's is 2")

    past_2T: Tensor

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        super().__init__()
        self._temperature = options.temperature
        # TorchJD's DWA keeps its history outside of state_dict: it stands here, the older epoch first
        self.register_buffer("past_2T", torch.full((2, len(TASKS)), torch.nan))
        self._now_T = [1.0] * len(TASKS)

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        return Weights.same(self._now_T)

    def end_epoch(self, losses_T: Sequence[float | None]) -> None:
        if any(not loss for loss in losses_T):
            return  # no label, or a loss of 0, to which nothing has a ratio
        self.past_2T.copy_(torch.stack([self.past_2T[1], torch.tensor(losses_T)]))
        self._set_weights()

    def _set_weights(self) -> None:
        from torchjd.scalarization import DWA

        method = DWA(self._temperature)
        for epoch_T in self.past_2T:
            if math.isfinite(epoch_T[0]):
                method(epoch_T)
                method.step()
        self._now_T = slopes(method, [1.0] * len(TASKS))

    def get_extra_state(self) -> None:
        """None of its own: `set_extra_state` is called once the buffers are back."""

    def set_extra_state(self, state: None) -> None:  # noqa: ARG002
        self._set_weights()
