"""Which of the processes that train one network together this one is, as its launcher told it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from agegender.core.errors import UserError


@dataclass(frozen=True)
class World:
    """A process among those that torchrun, srun or this program itself started."""

    rank: int
    size: int
    local_size: int
    """Processes on this machine."""
    launcher: str

    @property
    def nodes(self) -> int:
        return self.size // self.local_size

    @property
    def settings(self) -> str:
        """The settings that fit it."""
        return f"trainer.devices={self.local_size} trainer.num_nodes={self.nodes}"


def current_world() -> World | None:
    """What the environment says; None for a process alone.

    srun sets SLURM_STEP_ID; a batch script that runs the command without srun has the other variables, too.
    """
    if {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        size = _number("WORLD_SIZE")
        world = World(_number("RANK"), size, _number("LOCAL_WORLD_SIZE", size), "torchrun")
    elif {"SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS"} <= os.environ.keys():
        size = _number("SLURM_NTASKS")
        world = World(_number("SLURM_PROCID"), size, _slurm_local_size(size), "srun")
    else:
        return None
    return world if world.size > 1 else None


def is_first() -> bool:
    """Whether this process writes and speaks for a run: it is alone, or rank 0."""
    world = current_world()
    return world is None or world.rank == 0


def _slurm_local_size(size: int) -> int:
    """Tasks on each node, which Lightning asks srun to be told."""
    if size > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise UserError(f"srun started {size} tasks without --ntasks-per-node; give it, one task a device")
    return _number("SLURM_NTASKS_PER_NODE", 1)


def _number(name: str, otherwise: int | None = None) -> int:
    text = os.environ.get(name, "" if otherwise is None else str(otherwise))
    if not text.isdecimal():
        raise UserError(f"the environment variable {name} is {text!r}, not a number")
    return int(text)


def check_world(devices: int, num_nodes: int) -> None:
    """Raises UserError where the settings and the processes that a launcher started disagree."""
    world = current_world()
    asked = f"trainer.devices={devices} trainer.num_nodes={num_nodes}"
    if world is None:
        if num_nodes > 1:
            raise UserError(
                f"trainer.num_nodes={num_nodes}: start the command on every machine with torchrun or srun "
                "(docs/clusters.md); alone it starts the processes of one machine"
            )
    elif (devices, num_nodes) != (world.local_size, world.nodes):
        raise UserError(f"{asked}, but {world.launcher} started {world.size} processes: say {world.settings}")
