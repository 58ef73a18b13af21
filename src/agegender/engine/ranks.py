"""The processes that train one network together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

T = TypeVar("T")


class Ranks:
    """The processes that train one network together; one alone needs no process group."""

    def __init__(self, fabric: Fabric) -> None:
        self.rank, self.size = fabric.global_rank, fabric.world_size

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Summed over the ranks, in place; every rank gets it."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def broadcast(self, value: T) -> T:
        """Rank 0's object."""
        if self.size == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """Every rank's object, in their order, on every rank."""
        if self.size == 1:
            return [value]
        values: list[T] = [value] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    @contextmanager
    def first_first(self) -> Iterator[None]:
        """Rank 0 goes through the block before the others do."""
        if not self.is_first:
            torch.distributed.barrier()
        try:
            yield
        finally:
            if self.size > 1 and self.is_first:
                torch.distributed.barrier()
