"""`sweep.json`: what a sweep set out to do, written when it starts and read back by report and resume."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TypeVar

from pydantic import ConfigDict, Field, ValidationError, model_validator

from agegender.config.messages import explain_validation
from agegender.config.options import Options
from agegender.core.errors import UserError
from agegender.core.files import read_json, write_json

FILE = "sweep.json"

S = TypeVar("S", bound=Options)


class RecordedJob(Options):
    """One job: its number, its directory in the sweep's, and what makes it."""

    model_config = ConfigDict(extra="ignore")  # a newer version may say more

    number: int = Field(ge=0)
    dir: str = Field(pattern=r"^\d+$")
    overrides: list[str]


class SweepRecord(Options):
    """The plan of a sweep. Sweeps of earlier versions recorded their jobs and the command alone."""

    model_config = ConfigDict(extra="ignore")

    jobs: list[RecordedJob] = Field(min_length=1)
    command: str
    overrides: list[str] = Field(default_factory=list)
    config_dir: str | None = None
    folder: str | None = None
    """Where the sweep was started: relative paths in the overrides begin there."""

    @model_validator(mode="after")
    def _numbers_are_places(self) -> Self:
        if [job.number for job in self.jobs] != list(range(len(self.jobs))):
            raise ValueError("its jobs are not numbered 0, 1, 2, ...")
        return self


def is_hydras(override: str) -> bool:
    """Whether an override says where and how Hydra runs a job, not what the job is."""
    return override.lstrip("+~").startswith(("hydra.", "hydra/"))


def own_overrides(overrides: Sequence[str]) -> list[str]:
    """What makes a job."""
    return [override for override in overrides if not is_hydras(override)]


def new_record(
    jobs: Sequence[Sequence[str]], overrides: Sequence[str], config_dir: str | None
) -> SweepRecord:
    """The record of a sweep that starts now, here; `jobs` holds each job's overrides."""
    recorded = [
        RecordedJob(number=number, dir=str(number), overrides=own_overrides(job))
        for number, job in enumerate(jobs)
    ]
    flags = [] if config_dir is None else ["--config-dir", config_dir]
    command = shlex.join(["agegender-train", *overrides, *flags, "--multirun"])
    return SweepRecord(
        jobs=recorded,
        command=command,
        overrides=list(overrides),
        config_dir=config_dir,
        folder=str(Path.cwd()),
    )


def write_record(record: SweepRecord, sweep_dir: Path) -> None:
    write_json(sweep_dir / FILE, record.to_dict())


def read_record(sweep_dir: Path) -> SweepRecord:
    """The plan of a sweep; UserError where the file is damaged."""
    return read_as(SweepRecord, sweep_dir / FILE)


def read_as(schema: type[S], path: Path) -> S:
    """A JSON file that holds what the schema says; UserError where it is damaged."""
    try:
        return schema.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(f"{path} is damaged: {explain_validation(error)}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: it holds no JSON") from error
