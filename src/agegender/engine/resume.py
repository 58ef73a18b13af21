"""A run taken up: built and checked whole before a byte of its directory changes."""

from __future__ import annotations

from agegender.config.schema import TrainConfig
from agegender.core.errors import UserError
from agegender.core.nested import leaves, source_key
from agegender.engine.checkpoint import load_best
from agegender.engine.fit import Fit
from agegender.engine.last import LAST, Last, load_last
from agegender.engine.parts import Parts, build_parts
from agegender.engine.progress import Display
from agegender.engine.read_faces import read_faces
from agegender.engine.run_directory import RunDirectory

_MAY_CHANGE = frozenset(
    {
        "data.root", "data.csv", "data.cache", "data.max_bad", "model.weights", "evaluation.bootstrap",
        "evaluation.by", "evaluation.min_group", "trainer.accelerator", "trainer.max_steps",
        "trainer.checkpoint_every", "trainer.profile", "trainer.compile", "report.images",
        "tracking.tensorboard", "tracking.mlflow", "tracking.experiment",
    }
)  # fmt: skip
"""Keys that do not change what the steps do; that the faces are the same is checked by their sums."""


def take_up(config: TrainConfig, run: RunDirectory, display: Display) -> Fit:
    """The run of a directory where its last checkpoint stands; nothing is written.

    Raises UserError for a checkpoint that is missing, damaged, of other data or of other settings.
    """
    last = load_last(run.path)
    limit = config.trainer.max_steps
    if limit is not None and limit < last.step:
        raise UserError(f"trainer.max_steps={limit}: the run is at step {last.step} already")
    parts = build_parts(config, lambda spec: read_faces(config.data, config.split, spec, None, display))
    _check_data(parts, last, run)
    _check_config(config, last, run)
    if last.monitor["best_epoch"] and last.previous_best is None:
        load_best(run.path)
    fit = Fit(parts, run, display)
    fit.restore(last)
    return fit


def _check_data(parts: Parts, last: Last, run: RunDirectory) -> None:
    here = parts.data_sha256()
    if here["split_sha256"] != last.data["split_sha256"]:
        raise UserError(
            f"resume={run.path}: other data: the split's sha256 is {here['split_sha256']} now, "
            f"{last.data['split_sha256']} in {LAST}"
        )
    if here["faces_sha256"] != last.data["faces_sha256"]:
        raise UserError(
            f"resume={run.path}: other data: the same files (split sha256 {here['split_sha256']}), but in "
            f"another order or with other labels than in {LAST}"
        )


def _check_config(config: TrainConfig, last: Last, run: RunDirectory) -> None:
    here, there = dict(leaves(config.to_dict())), dict(leaves(last.config))
    for key in {**there, **here}:
        if source_key(key) not in _MAY_CHANGE and here.get(key) != there.get(key):
            raise UserError(
                f"resume={run.path}: {LAST} does not fit config.yaml: {key} is {there.get(key)} in the "
                f"checkpoint, {here.get(key)} in config.yaml"
            )
