"""What one side of a pair measured in a process of its own, and the file that brings it home."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

T = TypeVar("T")

WARM_UP = 2
"""First steps of an epoch that no figure of a step counts: kernels are built, queues fill."""


@dataclass
class Measured:
    """Times in seconds, memory in bytes; `val_*` are the last epoch's answers, a value a val face."""

    seconds: float
    """All epochs together, validation included."""
    epochs_steps: list[list[float]]
    """Each epoch's steps, its batch's making included."""
    train_faces: int = 0
    val_age: list[float] = field(default_factory=list)
    val_female: list[float] = field(default_factory=list)
    """P(female)."""
    passes: float | None = None
    """Forward passes of the backbone over the train and val faces, all epochs together."""
    peak_memory: int = 0
    peak_worker_memory: int = 0
    """Of the largest DataLoader worker; it shares pages with the process that forked it."""
    peak_gpu_memory: int | None = None
    backward_passes: float | None = None
    """Backward passes a step that reach the backbone's features, in epochs under a balancer."""
    backward_share: float | None = None
    """What a step of balancer=fixed spends in its backward pass."""

    def step(self) -> float:
        """Median over the steps that are past the warm-up."""
        return median(seconds for steps in self.epochs_steps for seconds in warm(steps))

    def write(self, path: Path) -> None:
        """With the memory that the process has taken by now."""
        self.peak_memory = _peak(resource.RUSAGE_SELF)
        self.peak_worker_memory = _peak(resource.RUSAGE_CHILDREN)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Measured:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def warm(steps: list[float]) -> list[float]:
    """The steps past the warm-up; all where there are so few."""
    return steps[WARM_UP:] or steps


def timed(items: Iterable[T], steps: list[float]) -> Iterator[T]:
    """The items; what each took to be made and used goes to `steps`."""
    before = time.perf_counter()
    for item in items:
        yield item
        now = time.perf_counter()
        steps.append(now - before)
        before = now


def _peak(whose: int) -> int:
    return resource.getrusage(whose).ru_maxrss * 1024
