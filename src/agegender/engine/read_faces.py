"""A run's faces, read before everything else; what was rejected is kept even where it ends the run."""

from __future__ import annotations

from agegender.config.options import DataOptions, SplitOptions
from agegender.data.dataset import Dataset, UnusableData, load_dataset, write_rejected
from agegender.engine.progress import Display
from agegender.engine.run_directory import RunDirectory


def read_faces(
    data: DataOptions,
    split: SplitOptions | None,
    image_size: int,
    run: RunDirectory | None,
    display: Display,
    *,
    seed: int = 0,
) -> Dataset:
    """`load_dataset` with a progress bar; UnusableData leaves its rejected.csv in the run, if any."""
    try:
        with display.counting() as progress:
            return load_dataset(data, split, image_size, progress, seed=seed)
    except UnusableData as error:
        if run is not None:
            write_rejected(error.rejected, run.path)
        raise
