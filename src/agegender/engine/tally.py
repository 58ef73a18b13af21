"""What the steps of an epoch add up to, kept as sums so that a checkpoint can hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agegender.balancing.balancer import TASKS


def _zeros() -> list[float]:
    return [0.0] * len(TASKS)


@dataclass
class Tally:
    """Sums over the batches so far; a task's loss counts the faces that have its label."""

    steps: int = 0
    faces: int = 0
    losses_T: list[float] = field(default_factory=_zeros)
    labelled_T: list[float] = field(default_factory=_zeros)
    weights_T: list[float] = field(default_factory=_zeros)
    seconds: float = 0.0

    def add(self, losses_T: Sequence[float], labelled_T: Sequence[int], faces: int) -> None:
        """Take a batch: its mean loss of each task, and over how many faces that mean is."""
        self.steps += 1
        self.faces += faces
        for task, (loss, labelled) in enumerate(zip(losses_T, labelled_T, strict=True)):
            self.losses_T[task] += loss * labelled
            self.labelled_T[task] += labelled

    def add_weights(self, weights_T: Sequence[float]) -> None:
        """The weights that the balancer used in a step."""
        for task, weight in enumerate(weights_T):
            self.weights_T[task] += weight

    def mean_losses(self) -> list[float | None]:
        """Mean loss of each task over the faces that have its label; None where none has."""
        pairs = zip(self.losses_T, self.labelled_T, strict=True)
        return [total / count if count else None for total, count in pairs]

    def mean_weights(self) -> list[float]:
        return [total / self.steps for total in self.weights_T]
