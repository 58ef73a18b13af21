"""What one face draws in one epoch: a row of uniform numbers that no batch and no rank can change."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt
from torch import Tensor

from agegender.core.seeding import stream


class Draw(IntEnum):
    """Column of each number."""

    FLIP = 0
    ROTATE = 1
    BRIGHTNESS = 2
    CONTRAST = 3
    ZOOM = 4
    SHIFT_X = 5
    SHIFT_Y = 6
    SATURATION = 7
    GRAYSCALE = 8
    ERASE = 9
    ERASE_AREA = 10
    ERASE_ASPECT = 11
    ERASE_X = 12
    ERASE_Y = 13


_PUBLISHED = 4
"""Columns of the published recipe; they have a stream to themselves, which later columns never shift."""


def draws(seed: int, epoch: int, samples: int) -> npt.NDArray[np.float32]:
    """Uniforms in 0..1, a row a sample and a column a `Draw`: each row depends on (seed, epoch, sample)."""
    published = stream(seed, "augment", epoch).random((samples, _PUBLISHED), dtype=np.float32)
    others = stream(seed, "augment further", epoch).random(
        (samples, len(Draw) - _PUBLISHED), dtype=np.float32
    )
    return np.concatenate([published, others], axis=1)


def between(draw_B: Tensor, low: float, high: float) -> Tensor:
    """Uniforms in low..high."""
    return low + (high - low) * draw_B


def factor(draw_B: Tensor, spread: float) -> Tensor:
    """Uniforms in 1 - spread..1 + spread."""
    return 1 + (2 * draw_B - 1) * spread
