"""A predictions table of any program, judged like a run of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from agegender.config.inference import EvaluateConfig
from agegender.core.files import write_json
from agegender.data.manifest import age_midpoint
from agegender.engine.predict import write_predicted
from agegender.engine.progress import Display
from agegender.engine.run_directory import RunDirectory
from agegender.evaluation.bootstrap import clusters_of
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.table import JUDGED, read_any_predictions
from agegender.inference.predictor import own_mode


def judge_predictions(config: EvaluateConfig, run: RunDirectory, display: Display) -> None:
    """Check the table, calibrate it where it has a cal part and no intervals of its own.

    Raises UserError for a table that cannot be judged.
    """
    assert config.predictions is not None
    table = read_any_predictions(config.predictions)
    write_json(run.path / "dataset.json", _summary(table, config.predictions))
    cal = table[table["split"] == "cal"]
    calibration = None
    if table[["age_low", "age_high"]].notna().any(axis=None):
        display.say("age_low and age_high are the file's own: nothing is calibrated")
    elif cal.empty:
        display.warn(f"{config.predictions} has no row of cal: nothing is calibrated, there are no intervals")
    else:
        calibration = Calibration.fit(cal, config.uncertainty or own_mode({}))
    write_predicted(run.path, table, None, calibration)


def _summary(table: pd.DataFrame, file: Path) -> dict[str, Any]:
    """What dataset.json says of a table; of its images nothing is known."""
    age = age_midpoint(table).dropna()
    parts = table["split"].value_counts()
    has_parts = len(parts) > 1 or "test" not in parts
    return {
        "source": file.name,
        "terms": "not stated by a table of predictions",
        "notes": [f"judged: the predictions in {file}; no network was asked"],
        "rows": len(table),
        "used": len(table),
        "rejected": {},
        "parts": {name: int(parts[name]) for name in JUDGED if name in parts},
        "clusters": int(clusters_of(table).max()) + 1,
        "split": "column" if has_parts else None,
        "split_how": "as the table says" if has_parts else None,
        "split_sha256": None,
        "age_mean": float(age.mean()) if len(age) else None,
        "age_std": float(age.std(ddof=0)) if len(age) else None,
    }
