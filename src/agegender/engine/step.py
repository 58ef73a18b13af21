"""One optimizer step: two task losses, lambda, the balancer's backward pass."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer
from agegender.core.errors import RunError
from agegender.data.batches import NO_GENDER, Batch
from agegender.models.network import AgeGenderNet, Outputs


def task_losses(network: AgeGenderNet, outputs: Outputs, batch: Batch) -> list[Tensor]:
    """One scalar a task, over the faces whose label is known; 0 where a batch has none."""
    has_age = ~batch.age_B.isnan()
    has_gender = batch.gender_B != NO_GENDER
    gender_B = batch.gender_B if batch.female_B is None else batch.female_B
    age_loss = (
        network.age_head.loss(outputs.age_BK[has_age], batch.age_B[has_age])
        if has_age.any()
        else outputs.age_BK.float().sum() * 0
    )
    gender_loss = (
        network.gender_head.loss(outputs.gender_B2[has_gender], gender_B[has_gender])
        if has_gender.any()
        else outputs.gender_B2.float().sum() * 0
    )
    return [age_loss, gender_loss]


def _forward(network: AgeGenderNet, batch: Batch, step: int) -> Outputs:
    try:
        outputs: Outputs = network(batch.images_BCHW)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise RunError(
            f"step {step}: batch normalisation cannot train on a batch of {len(batch)} faces this small; "
            "raise trainer.batch_size or data.image_size"
        ) from error
    return outputs


def refuse_nonfinite(loss: float | None, step: int, what: str) -> None:
    """Raises RunError when a loss is NaN or infinite; None (no such label) passes."""
    if loss is not None and not math.isfinite(loss):
        raise RunError(f"step {step}: the {what} loss is {loss}; a lower learning rate may help")


def training_step(
    network: AgeGenderNet,
    balancer: Balancer,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    lambda_: float,
    step: int,
    autocast: AbstractContextManager[object],
) -> tuple[list[float], list[float]]:
    """Take one step; returns the unweighted task losses and the weights used on them.

    Raises RunError, before anything is changed, when a loss is NaN or infinite.
    """
    with autocast:
        outputs = _forward(network, batch, step)
        losses_T = task_losses(network, outputs, batch)
    values = [float(value) for value in torch.stack(losses_T).detach()]
    for task, value in zip(TASKS, values, strict=True):
        refuse_nonfinite(value, step, task)
    optimizer.zero_grad(set_to_none=True)
    scale = [1.0, lambda_]
    used = balancer.backward([loss * factor for loss, factor in zip(losses_T, scale, strict=True)])
    optimizer.step()
    return values, [weight * factor for weight, factor in zip(used, scale, strict=True)]
