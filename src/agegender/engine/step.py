"""One optimizer step: two task losses, lambda, the balanced backward pass, the update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer, Seen
from agegender.config.loss import LossOptions
from agegender.core.errors import RunError
from agegender.data.batches import NO_GENDER, Batch, StepBatch
from agegender.engine.again import SameDraws
from agegender.engine.balanced import BalancedBackward
from agegender.engine.clock import Clock
from agegender.engine.gradients import Conflict
from agegender.engine.group_dro import GroupDRO
from agegender.engine.ranks import Ranks
from agegender.models.gender_head import GenderHead
from agegender.models.head import AgeHead
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
    """Mean of each task over the step's labelled faces, each as it weighs; before any weight of the task."""
    weights_T: list[float]
    """What each loss was multiplied by, lambda included, where it met the shared parameters."""
    grad_norm: float
    """Of the whole gradient, before it was clipped."""
    flags: list[bool]
    """Each one set where any rank had set it."""
    conflict: Conflict | None
    """How the tasks' gradients stood to each other, in a step that was looked at."""


def _tasks(
    network: AgeGenderNet, outputs: Outputs, batch: Batch
) -> list[tuple[AgeHead | GenderHead, Tensor, Tensor, Tensor, int]]:
    """A row a task: its head, what that says, the labels, which are known, and how many."""
    gender_B = batch.gender_B if batch.female_B is None else batch.female_B
    ages, genders = batch.labelled
    return [
        (network.age_head, outputs.age_BK, batch.age_B2, ~batch.age_B2[:, 0].isnan(), ages),
        (network.gender_head, outputs.gender_B2, gender_B, batch.gender_B != NO_GENDER, genders),
    ]


def task_losses(network: AgeGenderNet, outputs: Outputs, batch: Batch) -> list[Tensor]:
    """One scalar a task, over the faces whose label is known; 0 where a batch has none."""
    losses_T = []
    for head, raw_BK, label_B, is_known_B, known in _tasks(network, outputs, batch):
        if 0 < known < len(batch):
            raw_BK, label_B = raw_BK[is_known_B], label_B[is_known_B]
        losses_T.append(head.loss(raw_BK, label_B) if known else raw_BK.float().sum() * 0)
    return losses_T


def face_losses(network: AgeGenderNet, outputs: Outputs, batch: Batch) -> Tensor:
    """Each face's loss of each task (B, T); 0 where its label is unknown."""
    columns = []
    for head, raw_BK, label_B, is_known_B, known in _tasks(network, outputs, batch):
        if known == len(batch):
            losses_B = head.losses(raw_BK, label_B)
        else:
            losses_B = raw_BK.float().sum(1) * 0
            if known:
                losses_K = head.losses(raw_BK[is_known_B], label_B[is_known_B])
                losses_B = losses_B.index_put((is_known_B,), losses_K)
        columns.append(losses_B)
    return torch.stack(columns, dim=1)


def refuse_nonfinite(value: float | None, step: int, what: str) -> None:
    """Raises NonFiniteError for NaN and infinity; None (no such label) passes."""
    if value is not None and not math.isfinite(value):
        raise NonFiniteError(step, what, value)


def loss_scales(loss: LossOptions, head: AgeHead) -> list[float]:
    """What each task's loss is multiplied by in front of the balancer: the unit of ages, and lambda."""
    unit = 1.0 if loss.age_unit == "years" else head.label_spec.age_std
    return [unit**-head.years_power, loss.lambda_]


class Stepper:
    """Takes steps: what a step needs that stays the same from one to the next."""

    def __init__(
        self,
        network: AgeGenderNet,
        balancer: Balancer,
        scale_T: Sequence[float],
        diagnose_every: int | None,
        clip_norm: float | None,
        autocast: Callable[[], AbstractContextManager[object]],
        scaler: torch.amp.GradScaler,
        ranks: Ranks,
        clock: Clock,
        group_dro: GroupDRO | None = None,
    ) -> None:
        self._network, self._balancer = network, balancer
        self._scale_T = list(scale_T)
        self._diagnose_every, self._clip_norm = diagnose_every, clip_norm
        self._autocast, self._scaler = autocast, scaler
        self._ranks, self._clock = ranks, clock
        self._group_dro = group_dro

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
        every, is_balanced = self._diagnose_every, all(batch.labelled)
        is_sample = is_balanced and every is not None and (step - 1) % every == 0
        backward = BalancedBackward(self._balancer, self._network, len(batch.parts), is_balanced, is_sample)
        draws = SameDraws(self._device) if self._balancer.looks_again else None
        if self._group_dro is not None:
            assert batch.cells_TG is not None
            self._group_dro.begin(batch.cells_TG, self._device)
        losses_T, raised = [0.0] * len(TASKS), [False] * len(flags)
        for part in batch.parts:
            values_T, raised_here = self._part(forward, batch, part, step, flags, backward)
            losses_T = [total + value for total, value in zip(losses_T, values_T, strict=True)]
            raised = [a or b for a, b in zip(raised, raised_here, strict=True)]
        with self._clock.section("backward"):
            balance = backward.finish(self._ranks, float(self._scaler.get_scale()))
        with self._clock.section("optimizer"):
            norm = self._update(optimizer, step)
        if self._group_dro is not None and norm is not None:
            self._group_dro.learn(self._ranks)  # another look at this step still has this step's weights
        if is_balanced and norm is not None:
            again = partial(self._look_again, forward, batch, step, draws)
            self._balancer.learn(Seen(self._weighed(losses_T), balance.probe_norms_T, again))
        return Taken(losses_T, self._weighed(balance.weights.shared_T), norm or 0.0, raised, balance.conflict)

    @property
    def _device(self) -> torch.device:
        return next(self._network.parameters()).device

    def _weighed(self, values_T: Sequence[float]) -> list[float]:
        return [value * scale for value, scale in zip(values_T, self._scale_T, strict=True)]

    def _part(
        self,
        forward: Forward,
        batch: StepBatch,
        part: Batch | None,
        step: int,
        flags: Sequence[bool],
        backward: BalancedBackward,
    ) -> tuple[list[float], list[bool]]:
        """Its losses, those of all ranks, and whether any rank had set a flag."""
        with self._clock.section("forward"):
            shared_T = self._losses(forward, batch, part, step)
            sums = self._sum(shared_T, flags)
        values_T, raised = sums[: len(TASKS)], [flag > 0 for flag in sums[len(TASKS) :]]
        for task, value in zip(TASKS, values_T, strict=True):
            refuse_nonfinite(value, step, f"{task} loss")
        with self._clock.section("backward"):
            losses_T = None
            if shared_T is not None:
                losses_T = [
                    self._scaler.scale(loss * scale)
                    for loss, scale in zip(shared_T, self._scale_T, strict=True)
                ]
            backward.add(losses_T, self._weighed(values_T))
        return values_T, raised

    def _losses(
        self, forward: Forward, batch: StepBatch, part: Batch | None, step: int
    ) -> list[Tensor] | None:
        """What a part adds to the step's mean losses."""
        if part is None:
            return None
        with self._autocast():
            outputs = self._outputs(forward, part, step)
            if part.weight_B2 is None and part.cell_B is None:
                losses_T = task_losses(self._network, outputs, part)
            else:
                losses_T = self._weighed_losses(outputs, part)
        return [loss * share for loss, share in zip(losses_T, batch.shares(part), strict=True)]

    def _weighed_losses(self, outputs: Outputs, part: Batch) -> list[Tensor]:
        """Means over the labelled faces, not over weights, so that the parts of a step add up."""
        losses_BT = face_losses(self._network, outputs, part)
        if part.weight_B2 is not None:
            losses_BT = losses_BT * part.weight_B2
        if part.cell_B is not None:
            assert self._group_dro is not None
            losses_BT = self._group_dro.weigh(losses_BT, part.cell_B)
        sums_T = losses_BT.sum(0).unbind()
        return [total / max(known, 1) for total, known in zip(sums_T, part.labelled, strict=True)]

    def _look_again(
        self, forward: Forward, batch: StepBatch, step: int, draws: SameDraws | None
    ) -> list[float]:
        assert draws is not None
        losses_T = [0.0] * len(TASKS)
        with self._clock.section("forward"), draws.again(self._network):
            for part in batch.parts:
                values_T = self._sum(self._losses(forward, batch, part, step), ())
                losses_T = [total + value for total, value in zip(losses_T, values_T, strict=True)]
        return self._weighed(losses_T)

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

    def _sum(self, shared_T: list[Tensor] | None, flags: Sequence[bool]) -> list[float]:
        """The losses and the flags over all ranks: one exchange, and the one wait for the device."""
        losses_T = torch.zeros(len(TASKS), device=self._device)
        if shared_T is not None:
            losses_T = torch.stack(shared_T).detach().float()
        raised = torch.tensor([float(flag) for flag in flags], device=losses_T.device)
        summed: list[float] = self._ranks.sum(torch.cat([losses_T, raised])).tolist()
        return summed

    def _update(self, optimizer: torch.optim.Optimizer, step: int) -> float | None:
        """The gradient's norm before it was clipped; None where the scaler leaves the step out."""
        self._average_statistics()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._scaler.unscale_(optimizer)
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm_ = torch.nn.utils.get_total_norm(gradients)
        norm: float | None = float(norm_)
        if not math.isfinite(float(norm_)) and self._scaler.is_enabled():
            norm = None  # the scaler does so itself, and scales less from then on
        refuse_nonfinite(norm, step, "gradient's norm")
        if self._clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self._clip_norm, norm_)
        self._scaler.step(optimizer)
        self._scaler.update()
        return norm

    def _average_statistics(self) -> None:
        """Each rank's running statistics become their mean; a frozen backbone's are the same already."""
        if self._ranks.size == 1 or self._network.frozen:
            return
        below_heads = (self._network.backbone, self._network.sharing)
        buffers = [buffer for module in below_heads for buffer in module.buffers()]
        statistics = [buffer for buffer in buffers if buffer.is_floating_point()]
        for buffer in statistics:
            buffer /= self._ranks.size
        if statistics:
            self._ranks.sum_in_place(statistics)
