"""Each task's own gradient, gathered over the parts of a step, and how they stand to each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from agegender.balancing.balancer import Weights
from agegender.engine.ranks import Ranks


@dataclass(frozen=True)
class Conflict:
    """How the tasks pulled at the shared parameters in a step."""

    norms_T: list[float]
    """Of each task's gradient, with all that it was weighted by."""
    cosine: float | None
    """Of the angle between the gradients; None where one is 0."""

    @classmethod
    def of(cls, gramian_TT: Tensor, shared_T: Sequence[float]) -> Conflict:
        """From the inner products before the balancer's weights, and those weights."""
        norms_T = gramian_TT.diagonal().clamp(min=0).sqrt().tolist()
        product = math.prod(norms_T)
        cosine = float(gramian_TT[0, 1]) / product if product else None
        weighted_T = [norm * abs(weight) for norm, weight in zip(norms_T, shared_T, strict=True)]
        return cls(weighted_T, cosine)


class TaskGradients:
    """Gradients of the tasks' losses by the parameters they share, and of each task's by its own."""

    def __init__(
        self,
        shared: Sequence[nn.Parameter],
        own_T: Sequence[Sequence[nn.Parameter]],
        reaches_T: Sequence[bool],
    ) -> None:
        """Tasks that do not reach the shared parameters stop at their own: no pass through the backbone."""
        self._shared, self._own_T = list(shared), [list(own) for own in own_T]
        self._reaches_T = reaches_T
        self._gradients_T: list[list[Tensor]] = []

    def _wanted(self, task: int) -> list[nn.Parameter]:
        return [*(self._shared if self._reaches_T[task] else ()), *self._own_T[task]]

    def add(self, losses_T: Sequence[Tensor], retain: bool = False) -> None:
        """Take a part's gradients; `retain` keeps its graph for another backward pass."""
        found_T = []
        for task, loss in enumerate(losses_T):
            keep, wanted = retain or task < len(losses_T) - 1, self._wanted(task)
            found_T.append(
                torch.autograd.grad(loss, wanted, retain_graph=keep, materialize_grads=True) if wanted else ()
            )
        if not self._gradients_T:
            self._gradients_T = [list(found) for found in found_T]
            return
        for task, found in enumerate(found_T):
            if found:
                self._gradients_T[task] = list(torch._foreach_add(self._gradients_T[task], found))

    def sum_over(self, ranks: Ranks) -> None:
        """Every rank's become their sum; a rank without a face of the step has zeros."""
        if not self._gradients_T:
            self._gradients_T = [
                [torch.zeros_like(parameter) for parameter in self._wanted(task)]
                for task in range(len(self._own_T))
            ]
        ranks.sum_in_place([gradient for gradients in self._gradients_T for gradient in gradients])

    def _split(self, task: int) -> tuple[list[Tensor], list[Tensor]]:
        """On the shared parameters, and on the task's own."""
        count = len(self._shared) if self._reaches_T[task] else 0
        return self._gradients_T[task][:count], self._gradients_T[task][count:]

    def gramian(self) -> Tensor:
        """Inner products of the tasks' gradients on the shared parameters, (T, T) in float64 on the CPU."""
        shared_T = [self._split(task)[0] for task in range(len(self._own_T))]
        pairs = [(i, j) for i in range(len(shared_T)) for j in range(i + 1)]
        products = [
            torch.stack([_inner(a, b) for a, b in zip(shared_T[i], shared_T[j], strict=True)]).double().sum()
            for i, j in pairs
        ]
        gramian_TT = torch.zeros(len(shared_T), len(shared_T), dtype=torch.float64)
        for (i, j), product in zip(pairs, torch.stack(products).tolist(), strict=True):
            gramian_TT[i, j] = gramian_TT[j, i] = product
        return gramian_TT

    def put(self, weights: Weights) -> None:
        """The weighted sum becomes the parameters' `grad`."""
        parts: list[tuple[float, list[Tensor]]] = []
        for task, own in enumerate(self._own_T):
            shared, heads = self._split(task)
            if heads:
                _give(own, torch._foreach_mul(heads, weights.heads_T[task]))
            if shared:
                parts.append((weights.shared_T[task], shared))
        if parts:
            _give(self._shared, _weighted_sum(parts))


def _weighted_sum(parts: Sequence[tuple[float, list[Tensor]]]) -> Sequence[Tensor]:
    """In as few walks over memory as there are: the first two are added in one."""
    (first, gradients), *others = sorted(parts, key=lambda part: abs(part[0]), reverse=True)
    if not others or first == 0:
        return torch._foreach_mul(gradients, first)
    total = torch._foreach_add(gradients, others[0][1], alpha=others[0][0] / first)
    for weight, more in others[1:]:
        torch._foreach_add_(total, more, alpha=weight / first)
    if first != 1:
        torch._foreach_mul_(total, first)
    return total


def _give(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _inner(first: Tensor, second: Tensor) -> Tensor:
    """Of two gradients of one parameter; in the order of memory, whatever that is, nothing is copied."""
    if first.stride() == second.stride() and _is_dense(first):
        return torch.dot(*(each.as_strided((each.numel(),), (1,)) for each in (first, second)))
    return torch.dot(first.flatten(), second.flatten())


def _is_dense(tensor: Tensor) -> bool:
    return tensor.is_contiguous() or (
        tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    )
