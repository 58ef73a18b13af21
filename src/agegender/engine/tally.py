"""What the steps of an epoch add up to, kept as sums so that a checkpoint can hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agegender.balancing.balancer import TASKS
from agegender.engine.gradients import Conflict


def _zeros() -> list[float]:
    return [0.0] * len(TASKS)


@dataclass
class Tally:
    """Sums over the batches so far; a task's loss counts the faces that have its label."""

    steps: int = 0
    skipped: int = 0
    """Steps, among these, that changed nothing."""
    faces: int = 0
    losses_T: list[float] = field(default_factory=_zeros)
    labelled_T: list[float] = field(default_factory=_zeros)
    weights_T: list[float] = field(default_factory=_zeros)
    grad_norm: float = 0.0
    samples: int = 0
    """Steps, among these, in which the tasks' gradients were looked at."""
    shared_norms_T: list[float] = field(default_factory=_zeros)
    angles: int = 0
    """Samples, among these, in which neither gradient was 0."""
    cosine: float = 0.0
    conflicts: int = 0
    seconds: float = 0.0

    def add(self, losses_T: Sequence[float], labelled_T: Sequence[int], faces: int) -> None:
        """Take a batch: its mean loss of each task, and over how many faces that mean is."""
        self.steps += 1
        self.faces += faces
        for task, (loss, labelled) in enumerate(zip(losses_T, labelled_T, strict=True)):
            self.losses_T[task] += loss * labelled
            self.labelled_T[task] += labelled

    def add_step(self, weights_T: Sequence[float], grad_norm: float) -> None:
        """The weights that the balancer used in a step, and the length of its gradient."""
        self.grad_norm += grad_norm
        for task, weight in enumerate(weights_T):
            self.weights_T[task] += weight

    def add_sample(self, conflict: Conflict) -> None:
        """How the tasks' gradients stood to each other in a step."""
        self.samples += 1
        self.shared_norms_T = [a + b for a, b in zip(self.shared_norms_T, conflict.norms_T, strict=True)]
        if conflict.cosine is not None:
            self.angles += 1
            self.cosine += conflict.cosine
            self.conflicts += conflict.cosine < 0

    def skip(self, faces: int) -> None:
        """A step that changed nothing; its figures are no numbers."""
        self.steps += 1
        self.skipped += 1
        self.faces += faces

    def join(self, other: Tally) -> None:
        """Take another one's losses."""
        self.losses_T = [a + b for a, b in zip(self.losses_T, other.losses_T, strict=True)]
        self.labelled_T = [a + b for a, b in zip(self.labelled_T, other.labelled_T, strict=True)]

    def mean_losses(self) -> list[float | None]:
        """Mean loss of each task over the faces that have its label; None where none has."""
        pairs = zip(self.losses_T, self.labelled_T, strict=True)
        return [total / count if count else None for total, count in pairs]

    def mean_weights(self) -> list[float]:
        """Over the steps that were not skipped, of which there is at least one."""
        return [total / (self.steps - self.skipped) for total in self.weights_T]

    def mean_grad_norm(self) -> float:
        return self.grad_norm / (self.steps - self.skipped)

    def mean_shared_norms(self) -> list[float | None]:
        """Mean norm of each task's gradient on the shared parameters over the samples."""
        return [total / self.samples if self.samples else None for total in self.shared_norms_T]

    def mean_cosine(self) -> float | None:
        return self.cosine / self.angles if self.angles else None

    def conflict_share(self) -> float | None:
        """Share of the samples in which the gradients pointed against each other."""
        return self.conflicts / self.angles if self.angles else None
