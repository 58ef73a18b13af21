"""Which runs can be compared, and in which settings they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agegender.core.errors import UserError
from agegender.core.nested import leaves, source_key
from agegender.report.files import read_mapping
from agegender.report.status import read_status

_WHERE = ("data.root", "data.csv", "tracking.tensorboard", "tracking.mlflow", "tracking.experiment")
"""Settings that say where the faces lay (which they are, the split's sha256 says) and who else was told."""


@dataclass(frozen=True)
class Run:
    """What a run's directory says of it."""

    path: Path
    status: str
    config: dict[str, Any]
    """Empty where the run has not begun."""
    split_sha256: str | None
    """None where it ended before its faces were shared out."""

    @property
    def fold(self) -> int | None:
        fold: int | None = self.config.get("split", {}).get("fold")
        return fold

    @property
    def rmse_cap(self) -> float:
        cap: float = self.config.get("evaluation", {}).get("rmse_cap", 30.0)
        return cap


def read_run(path: Path) -> Run:
    """Raises UserError for a damaged file, and where predictions are of a split that is not known."""
    sha256 = read_mapping(path / "dataset.json").get("split_sha256")
    if sha256 is None and (path / "predictions.csv").exists():
        raise UserError(f"{path}: dataset.json tells no split_sha256, so that its faces are unknown")
    return Run(path, read_status(path)["status"], read_mapping(path / "config.yaml"), sha256)


def refuse_incomparable(runs: Sequence[Run]) -> None:
    """UserError where two runs share the faces out otherwise (unless as folds), or cap the RMSE elsewhere."""
    by_fold: dict[int | None, Run] = {}
    for run in runs:
        if run.split_sha256 is not None:
            first = by_fold.setdefault(run.fold, run)
            _refuse_other_split(first, run)
    if None in by_fold:
        for run in by_fold.values():
            _refuse_other_split(by_fold[None], run)
    for run in runs[1:]:
        if run.rmse_cap != runs[0].rmse_cap:
            raise UserError(
                f"evaluation.rmse_cap is {runs[0].rmse_cap:g} in {runs[0].path}, {run.rmse_cap:g} in "
                f"{run.path}: their age scores cannot be compared"
            )


def _refuse_other_split(a: Run, b: Run) -> None:
    if a.split_sha256 != b.split_sha256:
        raise UserError(
            f"only runs on one split can be compared; its sha256 is {a.split_sha256} in {a.path}, "
            f"{b.split_sha256} in {b.path}"
        )


def differing_settings(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Of each configuration the settings in which any two differ, as users type them (`balancer`, `seed`).

    Of a group whose options differ, keys that the option decides are left out.
    """
    plain = [dict(leaves(config)) for config in configs]
    keys = dict.fromkeys(key for each in plain for key in each if source_key(key) not in _WHERE)
    differ = [key for key in keys if len({repr(each.get(key)) for each in plain}) > 1]
    kept = [key for key in differ if not _is_decided(key, differ, plain)]
    return [{key.removesuffix(".name"): _typed(each[key]) for key in kept if key in each} for each in plain]


def _is_decided(key: str, differ: Sequence[str], plain: Sequence[Mapping[str, Any]]) -> bool:
    name = f"{key.partition('.')[0]}.name"
    if key == name or name not in differ:
        return False
    values: dict[object, set[str]] = {}
    for each in plain:
        values.setdefault(each.get(name), set()).add(repr(each.get(key)))
    return all(len(found) == 1 for found in values.values())


def _typed(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)
