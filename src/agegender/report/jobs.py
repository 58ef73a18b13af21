"""The jobs of a sweep, or of several, as rows: settings, figures, cost; read from what is on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.core.errors import UserError
from agegender.core.files import read_json
from agegender.report.figures import judged_part
from agegender.report.files import read_columns
from agegender.report.repeats import REPEATS, Row
from agegender.report.status import read_status

FIGURES = ("age_rmse", "age_mae", "age_score", "gender_f1", "harmonic_mean")
"""The figures of sweep.csv."""


@dataclass(frozen=True)
class JobPlace:
    """A job as it was planned: what it is called, its directory (as the page links it), its settings."""

    job: int | str
    path: Path
    dir: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Jobs:
    """The jobs of one page.

    A row holds job, status, a value (or None) for each of `keys`, `<part>_<figure>` of val and test, the
    bootstrap bounds of the part that all are judged on, faces_per_second, seconds, error, dir.
    """

    rows: list[Row]
    keys: list[str]
    part: str
    constants: dict[str, float | None]
    """The constant predictor's figures, None where the finished jobs do not agree on them."""
    age_targets: frozenset[str]
    """Which labels the judged faces have: exact, interval or mixed."""

    @property
    def varied(self) -> list[str]:
        """The keys in which jobs differ."""
        return [key for key in self.keys if len({row[key] for row in self.rows}) > 1]

    @property
    def settings(self) -> list[str]:
        """Those of the varied keys that do not merely repeat a setting."""
        return [key for key in self.varied if key not in REPEATS]

    def table(self) -> pd.DataFrame:
        """The content of sweep.csv."""
        return pd.DataFrame(self.rows)


def read_jobs(places: Sequence[JobPlace]) -> Jobs:
    """What the jobs' directories hold by now."""
    figures = [_figures(place.path) for place in places]
    judged = {judged_part(each) for each in figures if each["val"] or each["test"]}
    part = "test" if judged == {"test"} else "val"  # one part for all, or the jobs could not be compared
    keys = list(dict.fromkeys(key for place in places for key in place.settings))
    rows = []
    for place, values in zip(places, figures, strict=True):
        status = read_status(place.path)
        row: Row = {"job": place.job, "status": status["status"]}
        row |= {key: place.settings.get(key) for key in keys}
        row |= {name: (values[which] or {}).get(figure) for name, which, figure in _columns(part)}
        row |= {"faces_per_second": faces_per_second(place.path), "seconds": status["seconds"]}
        rows.append(row | {"error": status["error"], "dir": place.dir})
    targets = frozenset(each[part].get("age_target", "exact") for each in figures if each[part])
    return Jobs(rows, keys, part, _constants(rows, figures, part), targets)


def faces_per_second(run_dir: Path) -> float | None:
    """Training speed without validation: the median epoch of each phase, by the share of its epochs.

    None where no epoch was ended.
    """
    path = run_dir / "history.csv"
    if not path.exists():
        return None
    try:
        history = read_columns(path, ("phase", "images_per_second"))
    except UserError:  # the job's own report names it; the others keep their table
        return None
    speed = pd.to_numeric(history["images_per_second"], errors="coerce")
    phases = (1 / speed[speed > 0]).groupby(history["phase"]).agg(["median", "size"])
    total = float((phases["median"] * phases["size"]).sum())
    return float(phases["size"].sum()) / total if total > 0 else None


def _figures(run_dir: Path) -> dict[str, Any]:
    """metrics.json, or no figures where the job has not written it."""
    try:
        figures = read_json(run_dir / "metrics.json")
    except (FileNotFoundError, NotADirectoryError, ValueError):
        figures = None
    is_whole = isinstance(figures, dict) and {"val", "test"} <= figures.keys()
    return figures if is_whole else {"val": None, "test": None}


def _columns(part: str) -> list[tuple[str, str, str]]:
    """(column, part, figure) of the table's figures."""
    points = [(which, name) for which in ("val", "test") for name in FIGURES]
    bounds = [(part, f"{name}_{bound}") for name in FIGURES for bound in ("low", "high")]
    return [(f"{which}_{name}", which, name) for which, name in (*points, *bounds)]


def _constants(rows: Sequence[Row], figures: Sequence[dict[str, Any]], part: str) -> dict[str, float | None]:
    """Where all finished jobs agree, they judge the same faces."""
    done = [
        each[part] for row, each in zip(rows, figures, strict=True) if row["status"] == "ok" and each[part]
    ]
    found = {}
    for name in FIGURES:
        values = {each.get(f"constant_{name}") for each in done}
        found[name] = values.pop() if len(values) == 1 else None
    return found
