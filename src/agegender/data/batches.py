"""Batches on the device, normalised as the weights expect, made from uint8 faces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from agegender.config.schema import AugmentOptions
from agegender.core.seeding import stream
from agegender.core.types import GENDERS, InputSpec
from agegender.data.augment.draws import draws
from agegender.data.augment.mixup import Mixing, draw_mixing
from agegender.data.inputs import Inputs
from agegender.data.manifest import age_target
from agegender.data.samples.load import Samples

NO_GENDER = -1


@dataclass(frozen=True)
class Batch:
    """Normalised images, ages in years (NaN where unknown), gender classes (-1 where unknown)."""

    images_BCHW: Tensor
    age_B: Tensor
    gender_B: Tensor
    labelled: tuple[int, int]
    """How many faces have an age, and how many a gender; counted before the labels go to the device."""
    female_B: Tensor | None = None
    """P(female) where faces may be mixed, NaN where unknown; the gender loss then takes it, not gender_B."""

    def __len__(self) -> int:
        return len(self.age_B)


@dataclass(frozen=True)
class _Changes:
    """What an epoch draws for its faces."""

    options: AugmentOptions
    draws_NK: np.ndarray | None
    mixing: Mixing | None


class Batches:
    """Makes batches of the rows of `faces`; `samples` are uint8 images in the same order."""

    def __init__(
        self,
        faces: pd.DataFrame,
        samples: Samples | np.ndarray,
        input_spec: InputSpec,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._samples = samples
        self._age_N = torch.from_numpy(age_target(faces).to_numpy(np.float32, copy=True))
        codes = pd.Categorical(faces["gender"], categories=list(GENDERS)).codes
        self._gender_N = torch.from_numpy(codes.astype(np.int64))
        self._inputs = Inputs(input_spec, device)
        self._batch_size = batch_size
        self._device = device

    def steps(self, rows: np.ndarray) -> int:
        """Batches that an epoch over these rows has."""
        return math.ceil(len(rows) / self._batch_size)

    def shuffled(
        self, rows: np.ndarray, seed: int, epoch: int, augmentation: AugmentOptions, start: int = 0
    ) -> Iterator[Batch]:
        """One training epoch; order and augmentation depend on (seed, epoch) and the sample alone.

        The first `start` batches are left out: their faces are neither read nor augmented.
        """
        order = stream(seed, "order", epoch).permutation(rows)
        changes = self._changes(rows, seed, epoch, augmentation)
        for chosen in self._share_out(order)[start:]:
            yield self._batch(chosen, changes)

    def in_order(self, rows: np.ndarray) -> Iterator[Batch]:
        """Every row once, unchanged."""
        for chosen in self._share_out(rows):
            yield self._batch(chosen)

    def _share_out(self, rows: np.ndarray) -> list[np.ndarray]:
        # even shares: no tiny last batch, on which BatchNorm would fail or mislead
        return np.array_split(rows, self.steps(rows)) if len(rows) else []

    def _changes(self, rows: np.ndarray, seed: int, epoch: int, options: AugmentOptions) -> _Changes | None:
        """What happens to the faces in an epoch over `rows`, all of them and on every rank."""
        if options.is_off:
            return None
        mixing = None
        if options.mixup:
            has_both_N = ~self._age_N.isnan() & (self._gender_N != NO_GENDER)
            mixing = draw_mixing(seed, epoch, self._age_N.numpy(), rows[has_both_N.numpy()[rows]], options)
        draws_NK = draws(seed, epoch, len(self._age_N)) if options.changes_images else None
        return _Changes(options, draws_NK, mixing)

    def _batch(self, rows: np.ndarray, changes: _Changes | None = None) -> Batch:
        images_BCHW = self._images(rows, changes)
        index = torch.from_numpy(rows)
        age_B, gender_B = self._age_N[index], self._gender_N[index]
        labelled = (int((~age_B.isnan()).sum()), int((gender_B != NO_GENDER).sum()))
        female_B = None
        if changes is not None and changes.mixing is not None:
            female_B = _female(gender_B)
            self._mix(images_BCHW, age_B, female_B, rows, changes, changes.mixing)
            female_B = female_B.to(self._device, non_blocking=True)
        return Batch(
            images_BCHW,
            age_B.to(self._device, non_blocking=True),
            gender_B.to(self._device, non_blocking=True),
            labelled,
            female_B,
        )

    def _images(self, rows: np.ndarray, changes: _Changes | None) -> Tensor:
        pixels_BHWC = torch.from_numpy(self._samples[rows])
        if changes is None or changes.draws_NK is None:
            return self._inputs.make(pixels_BHWC)
        draws_BK = torch.from_numpy(changes.draws_NK[rows]).to(self._device)
        return self._inputs.make(pixels_BHWC, draws_BK, changes.options)

    def _mix(
        self,
        images_BCHW: Tensor,
        age_B: Tensor,
        female_B: Tensor,
        rows: np.ndarray,
        changes: _Changes,
        mixing: Mixing,
    ) -> None:
        """Mix pixels and labels of the faces that have a partner, in place.

        The partner looks as it does on its own in this epoch: mixing comes after every other change.
        """
        weight_B = torch.from_numpy(mixing.weight_N[rows])
        mixed = (weight_B < 1).nonzero()[:, 0]
        partners = mixing.partner_N[rows[mixed.numpy()]]
        others_MCHW = self._images(partners, changes)
        in_memory = (0, 2, 3, 1)  # four times as fast
        for target, other_M in (
            (images_BCHW.permute(in_memory), others_MCHW.permute(in_memory)),
            (age_B, self._age_N[partners]),
            (female_B, _female(self._gender_N[partners])),
        ):
            kept_B = weight_B.to(target.device).view(-1, *[1] * (target.ndim - 1))
            added_M = other_M.mul_(1 - kept_B[mixed.to(target.device)])
            target.mul_(kept_B).index_add_(0, mixed.to(target.device), added_M)


def _female(gender_B: Tensor) -> Tensor:
    """P(female) of classes: 1, 0, or NaN where unknown."""
    female_B = (gender_B == GENDERS.index("female")).float()
    return female_B.masked_fill_(gender_B == NO_GENDER, math.nan)
