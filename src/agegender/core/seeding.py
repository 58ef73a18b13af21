"""Named random streams: what one part of the program draws never shifts what another draws."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on `seed` and on the names alone, e.g. `stream(0, "order", epoch)`."""
    words = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words])))


def seed_torch(seed: int) -> None:
    """Seed torch's global generators: weight initialisation and dropout draw from them."""
    import torch

    torch.manual_seed(seed)
