"""Batches: every face once, normalised, in an order that the seed decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from agegender.core.types import InputSpec
from agegender.data.batches import NO_GENDER, Batch, Batches
from tests.augmentation import augmentation

from ..batches import shuffled

OFF = augmentation("none")
AUGMENTED = augmentation("published")
SPEC = InputSpec(8, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def _batches(count: int = 33, batch_size: int = 8) -> tuple[Batches, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    faces = pd.DataFrame(
        {
            "age": np.arange(count, dtype=float),
            "age_min": np.nan,
            "age_max": np.nan,
            "gender": [["female", "male", None][i % 3] for i in range(count)],
        }
    )
    faces.loc[5, ["age", "age_min", "age_max"]] = [np.nan, 10.0, 20.0]
    faces.loc[6, "age"] = np.nan
    return Batches(faces, images, SPEC, batch_size, torch.device("cpu")), images


def test_every_face_once_in_even_shares() -> None:
    batches, _ = _batches(count=33, batch_size=8)
    rows = np.arange(33)
    sizes = [len(batch) for batch in batches.in_order(rows)]
    assert sizes == [7, 7, 7, 6, 6]
    assert len(sizes) == batches.steps(rows)
    ages = torch.cat([batch.age_B2 for batch in shuffled(batches, rows, 0, 1, OFF)]).nan_to_num(-1)
    assert sorted(ages.tolist()) == sorted(
        [10.0, 20.0] if i == 5 else [-1.0, -1.0] if i == 6 else [float(i), float(i)] for i in range(33)
    )


def test_order_depends_on_seed_and_epoch() -> None:
    batches, _ = _batches()
    rows = np.arange(7, 33)

    def order(seed: int, epoch: int) -> list[float]:
        return [
            float(low) for batch in shuffled(batches, rows, seed, epoch, OFF) for low in batch.age_B2[:, 0]
        ]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_an_epoch_taken_up_reads_only_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    batches, _ = _batches()
    rows = np.arange(33)
    whole = shuffled(batches, rows, 0, 1, AUGMENTED)
    made: list[np.ndarray] = []
    make = batches._batch

    def count(chosen: np.ndarray, *arguments: Any) -> Batch:
        made.append(chosen)
        return make(chosen, *arguments)

    monkeypatch.setattr(batches, "_batch", count)
    rest = shuffled(batches, rows, 0, 1, AUGMENTED, start=3)
    assert len(made) == len(rest) == 2
    for batch, again in zip(whole[3:], rest, strict=True):
        assert torch.equal(batch.inputs, again.inputs)
        assert torch.equal(batch.age_B2.nan_to_num(-1), again.age_B2.nan_to_num(-1))
    assert shuffled(batches, rows, 0, 1, AUGMENTED, start=5) == []


def test_images_are_normalised_as_the_weights_expect() -> None:
    batches, images = _batches()
    batch = next(iter(batches.in_order(np.array([3, 4]))))
    expected = (images[3:5].transpose(0, 3, 1, 2) / 255 - np.array(SPEC.mean)[:, None, None]) / np.array(
        SPEC.std
    )[:, None, None]
    assert np.allclose(batch.inputs.numpy(), expected, atol=1e-5)
    # bit by bit what these operations give
    pixels = torch.from_numpy(images[3:5]).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (SPEC.mean, SPEC.std))
    assert torch.equal(batch.inputs, (pixels - mean) / std)


def test_missing_labels_and_intervals() -> None:
    batches, _ = _batches()
    batch = next(iter(batches.in_order(np.array([2, 5, 6]))))
    assert batch.gender_B.tolist() == [NO_GENDER, NO_GENDER, 0]
    assert batch.age_B2[:2].tolist() == [[2, 2], [10, 20]]
    assert batch.age_B2[2].isnan().all()
    assert batch.labelled == (2, 1)


def test_no_rows_no_batches() -> None:
    batches, _ = _batches()
    assert list(batches.in_order(np.array([], dtype=int))) == []
