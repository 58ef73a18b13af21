"""The watched validation figure: which epoch is the best, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass

SMALLER_IS_BETTER = frozenset({"age_rmse"})


@dataclass
class Monitor:
    """Counts epochs without improvement across all phases; `patience=None` never stops."""

    name: str
    patience: int | None
    best: float = math.nan
    best_epoch: int = 0
    epochs_without: int = 0

    def update(self, value: float, epoch: int) -> bool:
        """Take an epoch's figure; True when it is the best so far (the first always is)."""
        sign = -1.0 if self.name in SMALLER_IS_BETTER else 1.0
        if math.isnan(self.best) or sign * value > sign * self.best:
            self.best, self.best_epoch, self.epochs_without = value, epoch, 0
            return True
        self.epochs_without += 1
        return False

    @property
    def should_stop(self) -> bool:
        return self.patience is not None and self.epochs_without >= self.patience
