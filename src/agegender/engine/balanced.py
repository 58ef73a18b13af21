"""The backward passes of one step, as its balancer wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer, Weights
from agegender.engine.gradients import Conflict, TaskGradients
from agegender.engine.ranks import Ranks
from agegender.models.network import AgeGenderNet


@dataclass(frozen=True)
class Balance:
    """What became of a step's gradients."""

    weights: Weights
    probe_norms_T: list[float] | None
    conflict: Conflict | None
    """In a step that was looked at."""


class BalancedBackward:
    """Takes the parts of a step one after the other; afterwards the parameters' `grad` is the step's.

    Where the weights are known in front of the backward pass, and are the same on shared parameters and
    heads, there is one pass of the weighted sum; else one a task. `is_sample` asks for a look at the tasks'
    gradients: one a task, too.
    """

    def __init__(
        self,
        balancer: Balancer,
        network: AgeGenderNet,
        parts: int,
        is_balanced: bool,
        is_sample: bool,
    ) -> None:
        self._balancer, self._parts = balancer, parts
        self._shared, self._own_T = network.shared_parameters(), network.own_parameters()
        self._is_sample = is_sample and bool(self._shared)
        self._losses_T = [0.0] * len(TASKS)
        self._weights = None if is_balanced else balancer.kept()
        self._by_task: TaskGradients | None = None
        self._probe: TaskGradients | None = None
        self._is_first = True

    def add(self, losses_T: Sequence[Tensor] | None, values_T: Sequence[float]) -> None:
        """A part: this rank's losses (None without a face in it), and their sums over all ranks."""
        if self._is_first:
            self._begin(values_T)
        self._losses_T = [total + value for total, value in zip(self._losses_T, values_T, strict=True)]
        if losses_T is None:
            return
        if self._probe is not None:
            self._probe.add(losses_T, retain=True)
        if self._by_task is not None:
            self._by_task.add(losses_T)
        else:
            assert self._weights is not None
            weighted = [loss * w for loss, w in zip(losses_T, self._weights.heads_T, strict=True)]
            torch.stack(weighted).sum().backward()

    def _begin(self, values_T: Sequence[float]) -> None:
        self._is_first = False
        needs = self._balancer.needs
        if self._weights is None and needs == "gradients" and not self._shared:
            self._weights = Weights.same([1.0] * len(TASKS))
        elif self._weights is None and (needs == "nothing" or (needs == "losses" and self._parts == 1)):
            self._weights = self._balancer.weights(values_T)
        weights = self._weights
        is_one_pass = weights is not None and (not self._shared or weights.shared_T == weights.heads_T)
        if self._is_sample or not is_one_pass:
            every = self._is_sample or weights is None
            reaches_T = [every or bool(weight) for weight in (weights.shared_T if weights else TASKS)]
            self._by_task = TaskGradients(self._shared, self._own_T, reaches_T)
        if self._balancer.probes_last_layer and self._shared:
            last = [parameter for parameter in self._shared if parameter.ndim > 1][-1]
            self._probe = TaskGradients([last], [[] for _ in TASKS], [True] * len(TASKS))

    def finish(self, ranks: Ranks, scale: float) -> Balance:
        """Sum over ranks, weigh, leave the sum in the parameters; losses had been multiplied by `scale`."""
        probe_norms_T, conflict, weights = None, None, self._weights
        if self._probe is not None:
            self._probe.sum_over(ranks)
            probe_norms_T = (self._probe.gramian().diagonal().sqrt() / scale).tolist()
        if self._by_task is None:
            self._sum_over(ranks)
        else:
            self._by_task.sum_over(ranks)
            gramian_TT = None
            if self._is_sample or (weights is None and self._balancer.needs == "gradients"):
                gramian_TT = self._by_task.gramian() / scale**2
            if weights is None:
                is_sound = gramian_TT is None or bool(gramian_TT.isfinite().all())  # else the step is refused
                weights = (
                    self._balancer.weights(self._losses_T, gramian_TT) if is_sound else self._balancer.kept()
                )
            if self._is_sample:
                assert gramian_TT is not None
                conflict = Conflict.of(gramian_TT, weights.shared_T)
            self._by_task.put(weights)
        assert weights is not None
        return Balance(weights, probe_norms_T, conflict)

    def _sum_over(self, ranks: Ranks) -> None:
        if ranks.size == 1:
            return
        gradients = []
        for parameter in (*self._shared, *(p for own in self._own_T for p in own)):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        ranks.sum_in_place(gradients)
