"""What every process of a run does, whoever started it; the first one alone writes and speaks."""

from __future__ import annotations

from pathlib import Path

from agegender.config.schema import TrainConfig
from agegender.core.files import read_yaml, remove_halves
from agegender.core.world import is_first
from agegender.engine.progress import Display
from agegender.engine.resume import take_up
from agegender.engine.run_directory import RunDirectory, running
from agegender.engine.training import finish, train
from agegender.engine.watch import Watch, unwatched


def train_in(directory: Path, config: TrainConfig, quiet: bool = False, watch: Watch = unwatched) -> None:
    """Train a new run in its directory."""
    run, display = _outfit(directory, quiet)
    with running(run):
        train(config, run, display, watch)


def resume_in(directory: Path, config: TrainConfig, seconds_before: float) -> None:
    """Train what is left of a run; where that cannot be, nothing in its directory changes."""
    run, display = _outfit(directory, quiet=False, seconds_before=seconds_before)
    fit = take_up(config, run, display)
    with running(run):
        if run.is_writer:
            remove_halves(directory)
            if read_yaml(directory / "config.yaml") != config.to_dict():
                run.write_config(config.to_dict())
        finish(fit)


def _outfit(directory: Path, quiet: bool, seconds_before: float = 0.0) -> tuple[RunDirectory, Display]:
    writes = is_first()
    return RunDirectory(directory, writes, seconds_before=seconds_before), Display(quiet or not writes)
