"""What a frozen backbone says to each face, computed once for a whole phase."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch

from agegender.core.errors import UserError
from agegender.core.files import cache_dir
from agegender.data.batches import Batches
from agegender.engine.progress import Display
from agegender.engine.ranks import Ranks
from agegender.models.network import AgeGenderNet


@torch.no_grad()
def compute_features(
    network: AgeGenderNet,
    batches: Batches,
    rows: np.ndarray,
    faces: int,
    on_disk: bool,
    autocast: Callable[[], AbstractContextManager[object]],
    ranks: Ranks,
    display: Display,
) -> np.ndarray:
    """Features (faces, F) in float32 of the chosen rows, the others being empty; each row is read once.

    The ranks share the work. `on_disk` keeps them in a file of the cache folder that vanishes with the
    process, so that memory does not grow with the number of faces.
    """
    network.eval()
    features_NF = _room(faces, network.feature_width, on_disk)
    mine = np.array_split(rows, ranks.size)[ranks.rank]
    done = 0
    every = display.track(batches.in_order(rows), "features of the frozen backbone", batches.steps(mine))
    for batch in every:
        with autocast():
            features_BF = network.features(batch.inputs)
        features_NF[mine[done : done + len(batch)]] = features_BF.float().cpu().numpy()
        done += len(batch)
    if ranks.size > 1:
        for theirs, values in ranks.gather((mine, features_NF[mine])):
            features_NF[theirs] = values
    return features_NF


def _room(faces: int, width: int, on_disk: bool) -> np.ndarray:
    if not on_disk:
        return np.empty((faces, width), np.float32)
    try:
        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # the map outlives it
            if hasattr(os, "posix_fallocate"):  # a full disk would else strike as SIGBUS, later on
                os.posix_fallocate(file.fileno(), 0, 4 * faces * width)
            return np.memmap(file, np.float32, mode="w+", shape=(faces, width))
    except OSError as error:
        raise UserError(
            f"cannot keep {faces:,} faces' features in {cache_dir()}: {error.strerror or error}; "
            "AGEGENDER_CACHE names another folder, data.cache=memory keeps them in memory"
        ) from error
