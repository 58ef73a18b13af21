"""What is compared of two photos: the low frequencies of small grey images.

The 64 signs of the lowest cosine frequencies are a perceptual hash (Zauner, "Implementation and
Benchmarking of Perceptual Image Hash Functions", 2010) by which alike photos are found; the correlation
of some 200 frequencies tells whether two of them are one photo. Cropped and mirrored copies cost no image
operation: a crop is another matrix, a mirror image flips the sign of every odd horizontal frequency.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

SIDE = 32
"""Pixels of the grey images, to a side."""

Floats = npt.NDArray[np.float32]

_CUTS = {"whole": (0, 1), "low": (0.05, 1), "high": (0, 0.95), "both": (0.025, 0.975), "more": (0.05, 0.95)}
VIEWS = (
    ("whole", "whole"), ("both", "both"), ("more", "more"), ("low", "whole"), ("high", "whole"),
    ("whole", "low"), ("whole", "high"), ("low", "low"), ("low", "high"), ("high", "low"), ("high", "high"),
)  # fmt: skip
"""Vertical and horizontal cut of the crops looked for: up to 5 % off any side, up to 10 % in all."""

_BAND = 16
_Y, _X = np.nonzero(
    (np.add.outer(np.arange(_BAND), np.arange(_BAND)) >= 2)  # below: brightness and the light's direction
    & (np.hypot(*np.meshgrid(np.arange(_BAND), np.arange(_BAND), indexing="ij")) <= _BAND)
)
_SHARP = np.hypot(_Y, _X).astype(np.float32)
"""Natural images hold 1/f: weighted by f, fine features count as much as what all faces share."""
MIRROR = np.where(_X % 2, -1, 1).astype(np.float32)
"""Factor of each frequency that mirrors an image."""
_SIGNS = np.argsort(_Y + _X, kind="stable")[:64]
_FLAT = 2.0 * SIDE
"""Norm of an image whose pixels deviate by two grey levels: below, there is nothing to compare."""


def to_grey(image_HW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Luma (ITU-R 601), as Pillow's mode L."""
    luma_HW: npt.NDArray[np.float64] = image_HW3 @ np.array([0.299, 0.587, 0.114])
    return (luma_HW + 0.5).astype(np.uint8)


def frequencies(greys_NHW: npt.NDArray[np.uint8], view: tuple[str, str] = VIEWS[0]) -> Floats:
    """N x F cosine coefficients of the images cropped to `view`."""
    down, across = (_cosines(_CUTS[cut]) for cut in view)
    # one large matrix product an axis: a small one for each image takes five times as long
    rows_NHX = (greys_NHW.reshape(-1, SIDE).astype(np.float32) @ across.T).reshape(-1, SIDE, _BAND)
    both_NXY = rows_NHX.transpose(0, 2, 1).reshape(-1, SIDE) @ down.T
    return both_NXY.reshape(-1, _BAND, _BAND)[:, _X, _Y].astype(np.float32, copy=False)


def hashes(frequencies_NF: Floats) -> npt.NDArray[np.uint64]:
    """One hash an image."""
    bits = np.ascontiguousarray(frequencies_NF[:, _SIGNS] > 0)
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64).ravel()


def unit(frequencies_NF: Floats) -> Floats:
    """Vectors whose products are correlations between -1 and 1; 0 for images without features."""
    norm = np.linalg.norm(frequencies_NF, axis=1, keepdims=True)
    sharp = np.where(norm < _FLAT, 0, frequencies_NF) * _SHARP
    length = np.linalg.norm(sharp, axis=1, keepdims=True)
    units: Floats = (sharp / np.maximum(length, 1e-6)).astype(np.float32)
    return units


def _cosines(cut: tuple[float, float]) -> Floats:
    """_BAND x SIDE: the cosine transform of a row of pixels of which only `cut` is looked at."""
    edges = np.linspace(cut[0] * SIDE, cut[1] * SIDE, SIDE + 1)
    pixels = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    resample = overlap.clip(min=0) / (edges[1] - edges[0])
    cosines: Floats = (dct(np.eye(SIDE), axis=0, norm="ortho")[:_BAND] @ resample).astype(np.float32)
    return cosines
