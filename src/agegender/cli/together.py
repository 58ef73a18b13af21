"""A command that torchrun or srun started in every process: the first decides, the others follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agegender.config.schema import TrainConfig
from agegender.core.world import current_world

T = TypeVar("T")


def first_decides(config: TrainConfig, decide: Callable[[], T]) -> T:
    """What `decide` returns, called in the first process alone; an error in it ends the others, too."""
    if current_world() is None:
        return decide()
    from agegender.engine.device import make_fabric
    from agegender.engine.ranks import Ranks

    trainer = config.trainer
    ranks = Ranks(make_fabric(trainer.accelerator, trainer.precision, trainer.devices, trainer.num_nodes))
    decided: list[T] = []
    with ranks.first_first():
        if ranks.is_first:
            decided.append(decide())
    return ranks.broadcast(decided)[0]
