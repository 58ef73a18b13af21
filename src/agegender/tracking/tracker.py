"""What every tracker is: somebody outside who is told what the files of a run's directory hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.core.nested import leaves


class Tracker(ABC):
    """Opened as often as a run is taken up, and once more at its end; any of its calls may raise anything.

    Figures are called as in the files: `history/val_age_rmse`, `metrics/test/age_rmse`. Where they stand is
    the number of optimizer steps.
    """

    @abstractmethod
    def history(self, history: pd.DataFrame) -> None:
        """Take the rows of history.csv that are not there yet.

        The index is when each epoch ended, in seconds since 1970, pauses of the run left out.
        """

    @abstractmethod
    def end(self, status: dict[str, Any], metrics: dict[str, Any]) -> None:
        """Take what status.json and, of a run that is `ok`, metrics.json hold."""

    def close(self) -> None:  # noqa: B027
        """Say what has not been said yet."""


def read_history(path: Path) -> pd.DataFrame:
    """history.csv as trackers take it."""
    history = pd.read_csv(path)
    seconds = history["seconds"]
    ends = path.stat().st_mtime - (seconds.sum() - seconds.cumsum())
    return history.set_index(pd.Index(ends, name="end"))


def rows(history: pd.DataFrame) -> Iterator[tuple[float, int, dict[str, float]]]:
    """Of each row its end, its step and its figures, those that there are."""
    figures = history.drop(columns="step").select_dtypes("number").add_prefix("history/")
    for end, step, row in zip(history.index, history["step"], figures.to_dict("records"), strict=True):
        yield (
            float(end),
            int(step),
            {str(name): float(value) for name, value in row.items() if value == value},
        )


def finals(metrics: dict[str, Any]) -> dict[str, float]:
    """The numbers of metrics.json."""
    return {
        f"metrics/{name.replace('.', '/')}": float(value)
        for name, value in leaves(metrics)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
