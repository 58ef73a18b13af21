"""The processes that train one network together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor

from agegender.core.errors import RunError

T = TypeVar("T")


class PeerError(RunError):
    """Another rank went wrong and says why; this one cannot go on without it."""


class Ranks:
    """The processes that train one network together; one alone needs no process group.

    Every rank must make the same calls in the same order. One that is lost is a PeerError of the others.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.rank: int = fabric.global_rank
        self.size: int = fabric.world_size

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over ranks, on every rank; one alone gets `values` as they are."""
        if self.size == 1:
            return values
        total = values.detach().clone()
        with _together():
            dist.all_reduce(total)
        return total

    def sum_in_place(self, tensors: Sequence[Tensor]) -> None:
        """Each rank's tensors become their sums, in one exchange."""
        if self.size == 1:
            return
        sums = self.sum(torch.cat([tensor.flatten() for tensor in tensors]))
        for own, summed in zip(tensors, sums.split([tensor.numel() for tensor in tensors]), strict=True):
            own.copy_(summed.view(own.shape))

    def broadcast(self, value: T) -> T:
        """The first rank's value, on every rank."""
        if self.size == 1:
            return value
        values = [value]
        with _together():
            dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: T) -> list[T]:
        """Every rank's value in rank order, on every rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _together():
            dist.all_gather_object(values, value)
        return values

    @contextmanager
    def first_first(self) -> Iterator[None]:
        """The first rank does the block before the others do; where it fails, they do not begin."""
        if self.size > 1 and not self.is_first:
            failure = self.broadcast("")
            if failure:
                raise PeerError(f"rank 0 failed: {failure}")
        try:
            yield
        except BaseException as error:
            if self.is_first:
                with suppress(PeerError):  # what went wrong here comes first
                    self.broadcast(f"{type(error).__name__}: {error}")
            raise
        if self.is_first:
            self.broadcast("")


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo's own, and torch's DistBackendError
        raise PeerError(f"another rank is gone ({' '.join(str(error).split())[:120]})") from error
