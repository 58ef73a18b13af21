"""One optimizer step: two task losses, lambda, the balancer's backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer
from agegender.core.errors import RunError
from agegender.data.batches import NO_GENDER, Batch, StepBatch
from agegender.engine.clock import Clock
from agegender.engine.ranks import Ranks
from agegender.models.network import AgeGenderNet, Outputs

Forward = Callable[[Tensor], Outputs]


class NonFiniteError(RunError):
    """A loss or a gradient is NaN or infinite; neither weights nor optimizer have changed."""

    def __init__(self, step: int, what: str, value: float) -> None:
        super().__init__(f"step {step}: the {what} is {value}; a lower learning rate may help")
        self.what = f"{what} is {value}"


@dataclass(frozen=True)
class Taken:
    """What a step was like, the same on every rank."""

    losses_T: list[float]
    """Mean of each task over the step's labelled faces, before any weight."""
    weights_T: list[float]
    grad_norm: float
    """Of the whole gradient, before it was clipped."""
    flags: list[bool]
    """Each one set where any rank had set it."""


def task_losses(network: AgeGenderNet, outputs: Outputs, batch: Batch) -> list[Tensor]:
    """One scalar a task, over the faces whose label is known; 0 where a batch has none."""
    ages, genders = batch.labelled
    age_BK, age_B, gender_B2 = outputs.age_BK, batch.age_B, outputs.gender_B2
    gender_B = batch.gender_B if batch.female_B is None else batch.female_B
    if 0 < ages < len(batch):
        has_age = ~age_B.isnan()
        age_BK, age_B = age_BK[has_age], age_B[has_age]
    if 0 < genders < len(batch):
        has_gender = batch.gender_B != NO_GENDER
        gender_B2, gender_B = gender_B2[has_gender], gender_B[has_gender]
    return [
        network.age_head.loss(age_BK, age_B) if ages else age_BK.float().sum() * 0,
        network.gender_head.loss(gender_B2, gender_B) if genders else gender_B2.float().sum() * 0,
    ]


def refuse_nonfinite(value: float | None, step: int, what: str) -> None:
    """Raises NonFiniteError for NaN and infinity; None (no such label) passes."""
    if value is not None and not math.isfinite(value):
        raise NonFiniteError(step, what, value)


class Stepper:
    """Takes steps: what a step needs that stays the same from one to the next."""

    def __init__(
        self,
        network: AgeGenderNet,
        balancer: Balancer,
        lambda_: float,
        clip_norm: float | None,
        autocast: Callable[[], AbstractContextManager[object]],
        scaler: torch.amp.GradScaler,
        ranks: Ranks,
        clock: Clock,
    ) -> None:
        self._network, self._balancer = network, balancer
        self._scale_T = [1.0, lambda_]
        self._clip_norm = clip_norm
        self._autocast, self._scaler = autocast, scaler
        self._ranks, self._clock = ranks, clock

    def take(
        self,
        forward: Forward,
        optimizer: torch.optim.Optimizer,
        batch: StepBatch,
        step: int,
        flags: Sequence[bool] = (),
    ) -> Taken:
        """One step on this rank's parts of a batch. The gradient is that of the whole batch's mean losses.

        Raises NonFiniteError, on every rank at once, before weights or optimizer change.
        """
        optimizer.zero_grad(set_to_none=True)
        losses_T, weights_T, raised = [0.0] * len(TASKS), [0.0] * len(TASKS), [False] * len(flags)
        for part in batch.parts:
            values_T, used_T, raised_here = self._part(forward, batch, part, step, flags)
            for task in range(len(TASKS)):
                losses_T[task] += values_T[task]
                weights_T[task] += used_T[task]
            raised = [a or b for a, b in zip(raised, raised_here, strict=True)]
        with self._clock.section("optimizer"):
            norm = self._update(optimizer, step)
        return Taken(losses_T, [weight / len(batch.parts) for weight in weights_T], norm, raised)

    def _part(
        self, forward: Forward, batch: StepBatch, part: Batch | None, step: int, flags: Sequence[bool]
    ) -> tuple[list[float], list[float], list[bool]]:
        shared_T = []
        with self._clock.section("forward"):
            if part is not None:
                shares = batch.shares(part)
                with self._autocast():
                    losses_T = task_losses(self._network, self._outputs(forward, part, step), part)
                shared_T = [loss * share for loss, share in zip(losses_T, shares, strict=True)]
            sums = self._sum(shared_T, part, flags)
        values_T, raised = sums[: len(TASKS)], [flag > 0 for flag in sums[len(TASKS) :]]
        for task, value in zip(TASKS, values_T, strict=True):
            refuse_nonfinite(value, step, f"{task} loss")
        used_T = [1.0] * len(TASKS)
        if part is not None:
            with self._clock.section("backward"):
                weighted = [loss * weight for loss, weight in zip(shared_T, self._scale_T, strict=True)]
                used_T = self._balancer.backward([self._scaler.scale(loss) for loss in weighted])
        return values_T, [used * own for used, own in zip(used_T, self._scale_T, strict=True)], raised

    def _outputs(self, forward: Forward, part: Batch, step: int) -> Outputs:
        try:
            return forward(part.inputs)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise RunError(
                f"step {step}: batch normalisation cannot train on a batch of {len(part)} faces this small; "
                "raise trainer.batch_size or data.image_size"
            ) from error

    def _sum(self, shared_T: list[Tensor], part: Batch | None, flags: Sequence[bool]) -> list[float]:
        """The losses and the flags over all ranks: one exchange, and the one wait for the device."""
        device = part.inputs.device if part is not None else next(self._network.parameters()).device
        losses_T = torch.stack(shared_T).detach() if shared_T else torch.zeros(len(TASKS), device=device)
        raised = torch.tensor([float(flag) for flag in flags], device=device)
        summed: list[float] = self._ranks.sum(torch.cat([losses_T.float(), raised])).tolist()
        return summed

    def _update(self, optimizer: torch.optim.Optimizer, step: int) -> float:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._sum_gradients(parameters)
        self._scaler.unscale_(optimizer)
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm_ = torch.nn.utils.get_total_norm(gradients)
        norm = float(norm_)
        if not math.isfinite(norm) and self._scaler.is_enabled():
            norm = 0.0  # the scaler leaves such a step out itself, and scales less from then on
        refuse_nonfinite(norm, step, "gradient's norm")
        if self._clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self._clip_norm, norm_)
        self._scaler.step(optimizer)
        self._scaler.update()
        return norm

    def _sum_gradients(self, parameters: list[torch.nn.Parameter]) -> None:
        """Each rank's gradients become their sum, running statistics their mean.

        Losses are weighted by what they are of the whole batch, hence no mean of gradients. A frozen
        backbone's statistics are the same everywhere already.
        """
        if self._ranks.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        sums = [parameter.grad for parameter in parameters if parameter.grad is not None]
        means = [] if self._network.frozen else [b for b in self._network.buffers() if b.is_floating_point()]
        every = torch.cat([*(g.flatten() for g in sums), *(b.flatten() / self._ranks.size for b in means)])
        every = self._ranks.sum(every)
        for own, summed in zip(
            [*sums, *means], every.split([t.numel() for t in [*sums, *means]]), strict=True
        ):
            own.copy_(summed.view_as(own))
