"""What became of a search: its trials, and which of them is the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agegender.report.figures import FIGURES, number


@dataclass(frozen=True)
class Trial:
    """What became of a trial; `figure` is the watched one in its best epoch."""

    number: int
    state: str
    """complete, pruned, failed or running"""
    chosen: dict[str, Any]
    """The value of each key."""
    figure: float | None
    epochs: int
    seconds: float | None
    error: str | None


@dataclass(frozen=True)
class Search:
    """Everything that table and page are made of."""

    trials: Sequence[Trial]
    keys: Sequence[str]
    monitor: str
    smaller_is_better: bool
    asked: int
    """Trials in all."""
    command: str
    train_command: str
    """Repeats the best trial."""

    @property
    def best(self) -> Trial | None:
        """Of the complete trials the one with the best figure, the earlier of two that are as good."""
        sign = -1 if self.smaller_is_better else 1
        done = [trial for trial in self.trials if trial.state == "complete"]
        return max(done, key=lambda trial: sign * (trial.figure or 0.0), default=None)

    @property
    def label(self) -> str:
        return f"val {FIGURES[self.monitor][0]}"

    @property
    def heading(self) -> str:
        return self.label[0].upper() + self.label[1:]

    def shown(self, value: float | None) -> str:
        return number(value, FIGURES[self.monitor][1])
