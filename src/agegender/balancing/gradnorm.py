"""GradNorm: the tasks' gradients keep the same size, or more of it where a task lags behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from agegender.balancing.balancer import TASKS, Balancer, Seen, Weights
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "gradnorm")
class GradNorm(Balancer):
    """Brings the norm of each weighted gradient on the last shared layer to mean * r^alpha.

    After Chen et al., ICML 2018: r is a task's loss relative to its first, by the mean of that over the
    tasks; the weights go down the sum of the distances to those norms, held fixed, by an Adam of their own,
    and are scaled to the sum T after each step. What is learned are their logarithms, which keeps them
    above 0: age in years squared and gender differ by a factor that steps of 0.025 cannot resolve.
    """

    class Options(BalancerOptions):
        """Settings of GradNorm."""

        alpha: float = Field(
            ge=0,
            le=100,
            description="asymmetry: how much more a task that lags behind gets; the paper's is 1.5",
        )
        lr: float = Field(
            gt=0, le=10, description="Adam's rate for the weights' logarithms; the paper's is 0.025"
        )

    is_blind_to_lambda = True
    probes_last_layer = True

    first_T: Tensor

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        super().__init__()
        self._alpha = options.alpha
        self.log_weights_T = nn.Parameter(torch.zeros(len(TASKS), dtype=torch.float64))
        self.register_buffer("first_T", torch.full((len(TASKS),), torch.nan, dtype=torch.float64))
        self._optimizer = torch.optim.Adam([self.log_weights_T], lr=options.lr)

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        return Weights.same(self.log_weights_T.detach().exp().tolist())

    def learn(self, seen: Seen) -> None:
        if seen.probe_norms_T is None or not all(seen.losses_T):
            return
        losses_T = torch.tensor(seen.losses_T, dtype=torch.float64)
        if self.first_T.isnan().any():
            self.first_T.copy_(losses_T)
        relative_T = losses_T / self.first_T
        norms_T = torch.tensor(seen.probe_norms_T, dtype=torch.float64) * self.log_weights_T.exp()
        wanted_T = norms_T.detach().mean() * (relative_T / relative_T.mean()) ** self._alpha
        self._optimizer.zero_grad()
        (norms_T - wanted_T).abs().sum().backward()
        self._optimizer.step()
        with torch.no_grad():
            self.log_weights_T.sub_((self.log_weights_T.exp().sum() / len(TASKS)).log())

    def get_extra_state(self) -> dict[str, Any]:
        return self._optimizer.state_dict()

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        self._optimizer.load_state_dict(dict(state))
