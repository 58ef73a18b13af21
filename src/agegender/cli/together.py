"""Many processes at once: one run's, where the first decides and the others follow, and a sweep's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TypeVar

from agegender.config.preflight import Plan
from agegender.config.schema import TrainConfig
from agegender.core.errors import UserError
from agegender.core.world import current_world

T = TypeVar("T")


def first_decides(config: TrainConfig, decide: Callable[[], T]) -> T:
    """What `decide` returns, called in the first process alone; an error in it ends the others, too."""
    if current_world() is None:
        return decide()
    from agegender.engine.device import make_fabric
    from agegender.engine.ranks import Ranks

    trainer = config.trainer
    ranks = Ranks(make_fabric(trainer.accelerator, devices=trainer.devices, num_nodes=trainer.num_nodes))
    decided: list[T] = []
    with ranks.first_first():
        if ranks.is_first:
            decided.append(decide())
    return ranks.broadcast(decided)[0]


def refuse_tasks() -> None:
    """Raises UserError in a sweep's job that a cluster has started several times over."""
    world = current_world()
    if world is not None:
        raise UserError(
            f"{world.launcher} started this job {world.size} times: hydra.launcher.tasks_per_node=1 "
            "hydra.launcher.nodes=1; it starts its own ranks"
        )


def refuse_misplaced(plan: Plan[TrainConfig]) -> None:
    """Raises UserError for a sweep that would start its jobs where they cannot run."""
    world = current_world()
    if world is not None:
        raise UserError(
            f"a sweep under {world.launcher} would run {world.size} times over: start it without, its jobs "
            "start their own ranks (under SLURM: hydra/launcher=submitit_slurm with tasks_per_node=1)"
        )
    if plan.launcher == "JoblibLauncher" and any(job.config.trainer.devices > 1 for job in plan.jobs):
        raise UserError(
            "hydra/launcher=joblib with trainer.devices above 1: jobs side by side would share the devices; "
            "leave the launcher out, and each job has all of them in turn"
        )
    if plan.launcher == "SlurmLauncher" and shutil.which("srun") is None:
        raise UserError(
            "hydra/launcher=submitit_slurm: no srun on this machine; start the sweep on one of SLURM's"
        )
