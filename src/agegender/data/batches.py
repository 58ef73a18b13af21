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
from agegender.data.augment import augment, draws
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

    def __len__(self) -> int:
        return len(self.age_B)


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
        self._mean_C = torch.tensor(input_spec.mean, device=device)[:, None, None] * 255
        self._std_C = torch.tensor(input_spec.std, device=device)[:, None, None] * 255
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
        draws_NK = None if augmentation.is_off else draws(seed, epoch, len(self._age_N))
        for chosen in self._share_out(order)[start:]:
            if draws_NK is None:
                yield self._batch(chosen)
            else:
                yield self._batch(chosen, augmentation, torch.from_numpy(draws_NK[chosen]))

    def in_order(self, rows: np.ndarray) -> Iterator[Batch]:
        """Every row once, unchanged."""
        for chosen in self._share_out(rows):
            yield self._batch(chosen)

    def _share_out(self, rows: np.ndarray) -> list[np.ndarray]:
        # even shares: no tiny last batch, on which BatchNorm would fail or mislead
        return np.array_split(rows, self.steps(rows)) if len(rows) else []

    def _batch(
        self, rows: np.ndarray, augmentation: AugmentOptions | None = None, draws_BK: Tensor | None = None
    ) -> Batch:
        pixels_BHWC = torch.from_numpy(self._samples[rows])
        # the permuted view is channels-last, which convolutions keep
        images_BCHW = pixels_BHWC.to(self._device, non_blocking=True).permute(0, 3, 1, 2).float()
        if augmentation is not None and draws_BK is not None:
            images_BCHW = augment(images_BCHW / 255, draws_BK.to(self._device), augmentation) * 255
        index = torch.from_numpy(rows)
        age_B, gender_B = self._age_N[index], self._gender_N[index]
        return Batch(
            (images_BCHW - self._mean_C) / self._std_C,
            age_B.to(self._device, non_blocking=True),
            gender_B.to(self._device, non_blocking=True),
            labelled=(int((~age_B.isnan()).sum()), int((gender_B != NO_GENDER).sum())),
        )
