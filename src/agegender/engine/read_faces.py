"""A run's faces, read before everything else; what was rejected is kept even where it ends the run."""

from __future__ import annotations

from agegender.config.options import DataOptions, SplitOptions
from agegender.core.types import InputSpec
from agegender.data.dataset import Dataset, RefusedData, UnusableData, load_dataset, write_rejected
from agegender.engine.progress import Display
from agegender.engine.run_directory import RunDirectory


def read_faces(
    data: DataOptions,
    split: SplitOptions | None,
    input_spec: InputSpec,
    run: RunDirectory | None,
    display: Display,
    *,
    seed: int = 0,
) -> Dataset:
    """`load_dataset` with a progress bar; where it refuses the data, `run`, if any, gets its rejected.csv."""
    try:
        with display.counting() as progress:
            return load_dataset(
                data, split, input_spec.size, progress, seed=seed, interpolation=input_spec.interpolation
            )
    except (RefusedData, UnusableData) as error:
        if run is not None and run.is_writer:
            write_rejected(error.rejected, run.path)
        raise
