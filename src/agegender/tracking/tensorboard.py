"""Event files for TensorBoard, below the run's directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from agegender.core.nested import leaves
from agegender.tracking.tracker import Tracker, finals, rows

FOLDER = "tensorboard"


class TensorBoard(Tracker):
    """Each opening writes the whole history into a new file, which TensorBoard then reads in place of earlier
    ones: what it shows is history.csv, in float32.
    """

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._config = config
        self._writer = SummaryWriter(str(directory / FOLDER), purge_step=0)
        self._written = 0
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        self._writer.add_text("config", f"```yaml\n{text}```", 0)

    def history(self, history: pd.DataFrame) -> None:
        for end, step, figures in rows(history[self._written :]):
            self._scalars(figures, step, end)
        self._written = len(history)
        self._writer.flush()

    def end(self, status: dict[str, Any], metrics: dict[str, Any]) -> None:
        from torch.utils.tensorboard.summary import hparams

        if not metrics:
            return
        figures = finals(metrics)
        self._scalars(figures, status["step"])
        plain = {
            key: value if isinstance(value, bool | int | float | str) else json.dumps(value)
            for key, value in leaves(self._config)
        }
        for summary in hparams(plain, figures):  # add_hparams would make a second run of it
            self._writer._get_file_writer().add_summary(summary)

    def close(self) -> None:
        self._writer.close()

    def _scalars(self, figures: dict[str, float], step: int, end: float | None = None) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step, walltime=end)
