"""What a run keeps of its training on disk; only the first of several ranks writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.core.files import write_csv, write_json
from agegender.engine.checkpoint import BEST, read_tensors, save_best, write_tensors
from agegender.engine.last import LAST, Last, save_last
from agegender.engine.parts import Parts
from agegender.models.network import AgeGenderNet

NONFINITE = "nonfinite.csv"


class Kept:
    """History, best network, last checkpoint and what else lies in a run's directory."""

    def __init__(self, parts: Parts, directory: Path) -> None:
        self._parts, self._directory = parts, directory
        self._writes = parts.ranks.is_first

    @property
    def has_best(self) -> bool:
        return (self._directory / BEST).exists()

    def history(self, history: Sequence[dict[str, Any]]) -> None:
        if self._writes:
            write_csv(pd.DataFrame(history), self._directory / "history.csv", "%.9g")

    def best(self, network: AgeGenderNet) -> None:
        if not self._writes:
            return
        dataset = self._parts.dataset
        data = {
            "source": self._parts.config.data.name,
            "terms": dataset.terms,
            "notes": list(dataset.notes),
            "split_sha256": dataset.split_sha256,
        }
        save_best(self._directory / BEST, network, self._parts.config.to_dict(), data)

    def best_as_data(self) -> dict[str, Any] | None:
        """The best network as last.ckpt can hold it."""
        if not self._writes:
            return None
        tensors, metadata = read_tensors(self._directory / BEST)
        return {"tensors": tensors, "metadata": metadata}

    def put_back(self, best: dict[str, Any]) -> None:
        """The inverse of `best_as_data`."""
        if self._writes:
            write_tensors(self._directory / BEST, **best)

    def last(self, last: Last) -> None:
        if self._writes:
            save_last(self._directory / LAST, last)

    def nonfinite(self, step: int, what: str, rows: np.ndarray) -> None:
        """Add the faces of a step whose numbers went bad."""
        if not self._writes:
            return
        path = self._directory / NONFINITE
        faces = self._parts.dataset.faces.iloc[rows][["id", "path", "age", "gender"]]
        table = faces.assign(step=step, what=what)[["step", "what", "id", "path", "age", "gender"]]
        if path.exists():
            table = pd.concat([pd.read_csv(path, dtype={"id": str, "path": str}), table])
        write_csv(table, path)

    def profile(self, profile: dict[str, Any]) -> None:
        if self._writes:
            write_json(self._directory / "profile.json", profile)
