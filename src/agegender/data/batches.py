"""Batches on the device, normalised as the weights expect, made from uint8 faces."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from agegender.config.schema import AugmentOptions
from agegender.core.seeding import stream
from agegender.core.types import GENDERS, InputSpec
from agegender.data.ahead import ahead
from agegender.data.augment.draws import draws
from agegender.data.augment.mixup import Mixing, draw_mixing
from agegender.data.emphasis import EVEN, Emphasis
from agegender.data.inputs import Inputs
from agegender.data.manifest import age_interval
from agegender.data.samples.load import Samples

NO_GENDER = -1

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """What goes through the network at once."""

    inputs: Tensor
    """Normalised images (B, 3, H, W); a frozen backbone's features (B, F) where those are known already."""
    age_B2: Tensor
    """Inclusive interval in years, both ends equal for an exact age; NaN in both where unknown."""
    gender_B: Tensor
    """Class numbers, -1 where unknown."""
    labelled: tuple[int, int]
    """How many faces have an age, and how many a gender; counted before the labels go to the device."""
    female_B: Tensor | None = None
    """P(female) where faces may be mixed, NaN where unknown; the gender loss then takes it, not gender_B."""
    weight_B2: Tensor | None = None
    """What each face's loss of each task is multiplied by, where training makes more of some."""
    cell_B: Tensor | None = None
    """Cells of group-DRO."""

    def __len__(self) -> int:
        return len(self.age_B2)


@dataclass(frozen=True)
class StepBatch:
    """The faces of one optimizer step, whoever computes them."""

    rows: np.ndarray
    labelled: tuple[int, int]
    """Over all of them."""
    parts: tuple[Batch | None, ...]
    """What this process computes, one after the other; None where another has a face more to do."""
    cells_TG: Tensor | None = None
    """How many labels of each task each cell of group-DRO has, over all of them."""

    def shares(self, part: Batch) -> list[float]:
        """What a part's mean loss of each task weighs in the step's."""
        pairs = zip(part.labelled, self.labelled, strict=True)
        return [mine / whole if whole else 0.0 for mine, whole in pairs]


@dataclass(frozen=True)
class Share:
    """Which part of the faces a process computes: that of `rank` among `ranks`, a step's in `parts`."""

    rank: int = 0
    ranks: int = 1
    parts: int = 1


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
        share: Share = Share(),
        emphasis: Emphasis = EVEN,
    ) -> None:
        self._samples = samples
        self._row_N = np.arange(len(faces))
        """The sample that each face looks like: faces drawn with replacement may share one."""
        self._features_NF: np.ndarray | None = None
        self._age_N2 = torch.from_numpy(age_interval(faces).to_numpy(np.float32, copy=True))
        codes = pd.Categorical(faces["gender"], categories=list(GENDERS)).codes
        self._gender_N = torch.from_numpy(codes.astype(np.int64))
        self._inputs = Inputs(input_spec, device)
        self._batch_size = batch_size
        self._device = device
        self._share = share
        self._emphasis = emphasis

    def with_features(self, features_NF: np.ndarray) -> Batches:
        """The same batches, of each face's features instead of its image."""
        batches = copy.copy(self)
        batches._features_NF = features_NF
        return batches

    def label_counts(self, rows: np.ndarray) -> Tensor | None:
        """Labels of each task that the cells of group-DRO have in these rows (T, G); None without cells."""
        if self._emphasis.cell_N is None:
            return None
        cell_R, cells = self._emphasis.cell_N[torch.from_numpy(rows)], len(self._emphasis.cells)
        return torch.stack([cell_R[known_R].bincount(minlength=cells) for known_R in self._known(rows)])

    def steps(self, rows: np.ndarray) -> int:
        """Batches that an epoch over these rows has."""
        return math.ceil(len(rows) / self._batch_size)

    def shuffled(
        self, rows: np.ndarray, seed: int, epoch: int, augmentation: AugmentOptions, start: int = 0
    ) -> Iterator[StepBatch]:
        """One training epoch; order and augmentation depend on (seed, epoch) and the sample alone.

        The first `start` steps are left out: their faces are neither read nor augmented. With chances, an
        epoch is as many draws with replacement; a face that comes twice is changed in two ways.
        """
        chance_N = self._emphasis.chance_N
        if chance_N is not None:
            drawn = stream(seed, "sampling", epoch).choice(len(chance_N), len(rows), p=chance_N)
            every = np.arange(len(drawn))
            return self._of_draws(drawn).shuffled(every, seed, epoch, augmentation, start)
        order = stream(seed, "order", epoch).permutation(rows)
        changes = self._changes(rows, seed, epoch, augmentation)

        def step(chosen: np.ndarray) -> StepBatch:
            rank, ranks, parts = self._share.rank, self._share.ranks, self._share.parts
            every = np.array_split(chosen, ranks * parts)[rank * parts : (rank + 1) * parts]
            return StepBatch(
                rows=self._row_N[chosen],
                labelled=self._labelled(chosen),
                parts=tuple(
                    self._batch(part, changes, self._emphasis) if len(part) else None for part in every
                ),
                cells_TG=self.label_counts(chosen),
            )

        return self._made(step, self._share_out(order)[start:])

    def in_order(self, rows: np.ndarray) -> Iterator[Batch]:
        """This process's share of the rows, unchanged; those of all ranks on end are all rows in order."""
        share = np.array_split(rows, self._share.ranks)[self._share.rank]
        return self._made(self._batch, self._share_out(share))

    def _of_draws(self, rows: np.ndarray) -> Batches:
        """The same batches of drawn faces; place i holds the face of row `rows[i]`."""
        batches, index = copy.copy(self), torch.from_numpy(rows)
        batches._row_N, batches._emphasis = self._row_N[rows], self._emphasis.of_draws(rows)
        batches._age_N2, batches._gender_N = self._age_N2[index], self._gender_N[index]
        return batches

    def _made(self, make: Callable[[np.ndarray], T], shares: list[np.ndarray]) -> Iterator[T]:
        made = map(make, shares)
        return made if self._device.type == "cpu" else ahead(made)  # a CPU has nothing to wait for

    def _share_out(self, rows: np.ndarray) -> list[np.ndarray]:
        # even shares: no tiny last batch, on which BatchNorm would fail or mislead
        return np.array_split(rows, self.steps(rows)) if len(rows) else []

    def _known(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Which have a label of each task."""
        index = torch.from_numpy(rows)
        return ~self._age_N2[index, 0].isnan(), self._gender_N[index] != NO_GENDER

    def _labelled(self, rows: np.ndarray) -> tuple[int, int]:
        known = self._known(rows)
        return int(known[0].sum()), int(known[1].sum())

    def _changes(self, rows: np.ndarray, seed: int, epoch: int, options: AugmentOptions) -> _Changes | None:
        """What happens to the faces in an epoch over `rows`, all of them and on every rank."""
        if options.is_off:
            return None
        mixing = None
        if options.mixup:
            midpoint_N = self._age_N2.mean(1)
            has_both_N = ~midpoint_N.isnan() & (self._gender_N != NO_GENDER)
            mixing = draw_mixing(seed, epoch, midpoint_N.numpy(), rows[has_both_N.numpy()[rows]], options)
        draws_NK = draws(seed, epoch, len(self._age_N2)) if options.changes_images else None
        return _Changes(options, draws_NK, mixing)

    def _batch(self, rows: np.ndarray, changes: _Changes | None = None, emphasis: Emphasis = EVEN) -> Batch:
        inputs = self._features(rows) if self._features_NF is not None else self._images(rows, changes)
        index = torch.from_numpy(rows)
        age_B2, gender_B = self._age_N2[index], self._gender_N[index]
        weight_B2 = None if emphasis.weight_N2 is None else emphasis.weight_N2[index]
        cell_B = None if emphasis.cell_N is None else emphasis.cell_N[index]
        female_B = None
        if changes is not None and changes.mixing is not None:
            female_B = _female(gender_B)
            self._mix(inputs, age_B2, female_B, weight_B2, rows, changes, changes.mixing)
        return Batch(
            inputs,
            self._sent(age_B2),
            self._sent(gender_B),
            self._labelled(rows),
            None if female_B is None else self._sent(female_B),
            None if weight_B2 is None else self._sent(weight_B2),
            None if cell_B is None else self._sent(cell_B),
        )

    def _sent(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)

    def _features(self, rows: np.ndarray) -> Tensor:
        assert self._features_NF is not None
        return self._sent(torch.from_numpy(self._features_NF[self._row_N[rows]]))

    def _images(self, rows: np.ndarray, changes: _Changes | None) -> Tensor:
        pixels_BHWC = torch.from_numpy(self._samples[self._row_N[rows]])
        if self._device.type == "cuda":
            pixels_BHWC = pixels_BHWC.pin_memory()  # else the copy would wait
        if changes is None or changes.draws_NK is None:
            return self._inputs.make(pixels_BHWC)
        draws_BK = torch.from_numpy(changes.draws_NK[rows]).to(self._device)
        return self._inputs.make(pixels_BHWC, draws_BK, changes.options)

    def _mix(
        self,
        images_BCHW: Tensor,
        age_B2: Tensor,
        female_B: Tensor,
        weight_B2: Tensor | None,
        rows: np.ndarray,
        changes: _Changes,
        mixing: Mixing,
    ) -> None:
        """Mix pixels, labels and weights of the faces that have a partner, in place.

        The partner looks as it does on its own in this epoch: mixing comes after every other change.
        """
        weight_B = torch.from_numpy(mixing.weight_N[rows])
        mixed = (weight_B < 1).nonzero()[:, 0]
        partners = mixing.partner_N[rows[mixed.numpy()]]
        others_MCHW = self._images(partners, changes)
        in_memory = (0, 2, 3, 1)  # four times as fast
        pairs = [
            (images_BCHW.permute(in_memory), others_MCHW.permute(in_memory)),
            (age_B2, self._age_N2[partners]),
            (female_B, _female(self._gender_N[partners])),
        ]
        if weight_B2 is not None:
            assert self._emphasis.weight_N2 is not None
            pairs.append((weight_B2, self._emphasis.weight_N2[partners]))
        for target, other in pairs:
            kept_B = weight_B.to(target.device).view(-1, *[1] * (target.ndim - 1))
            added = other.mul_(1 - kept_B[mixed.to(target.device)])
            target.mul_(kept_B).index_add_(0, mixed.to(target.device), added)


def _female(gender_B: Tensor) -> Tensor:
    """P(female) of classes: 1, 0, or NaN where unknown."""
    female_B = (gender_B == GENDERS.index("female")).float()
    return female_B.masked_fill_(gender_B == NO_GENDER, math.nan)
