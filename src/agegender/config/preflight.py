"""The pre-flight: every job of a command composed and checked before the first one starts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from agegender.config.compose import Composer, composing, to_plain, validate
from agegender.config.options import Options
from agegender.config.paths import is_path, quote_paths
from agegender.config.resume import Resume
from agegender.core.errors import UserError
from agegender.core.files import read_json

S = TypeVar("S", bound=Options)


@dataclass(frozen=True)
class Job(Generic[S]):
    """One run: its overrides as Hydra will see them, and its checked settings."""

    overrides: tuple[str, ...]
    config: S


@dataclass(frozen=True)
class Plan(Generic[S]):
    """What a command line means."""

    jobs: tuple[Job[S], ...]
    multirun: bool
    overrides: tuple[str, ...]
    config_dir: str | None
    directory: str | None
    """Where the run or the sweep goes; None where the entry's configuration names no directory."""
    directory_is_chosen: bool
    launcher: str
    """Class of Hydra's launcher: what runs the jobs of a sweep, and where."""
    resume: Resume | None = None
    """The sweep that is taken up."""


def parse_flags(argv: Sequence[str], sweeps: bool = False) -> argparse.Namespace:
    """Hydra's own command-line grammar; its errors become `UserError`.

    In an entry that sweeps, a `sweep=` option stands for `-m`.
    """

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message} (settings are written key=value; --help shows them)")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    flags = parser.parse_intermixed_args(list(argv))  # keys may stand behind a flag
    if flags.config_path or flags.config_name or flags.experimental_rerun:
        raise UserError(
            "--config-path, --config-name and --experimental-rerun are not supported; "
            "--config-dir=DIR adds your own YAML groups"
        )
    has_preset = any(line.startswith("sweep=") for line in flags.overrides)
    flags.sweeps = sweeps
    flags.multirun = bool(flags.multirun) or (sweeps and has_preset)
    flags.resume = None
    flags.overrides = [quote_paths(override, flags.multirun) for override in flags.overrides]
    return flags


def preflight(
    config_name: str, schema: type[S], flags: argparse.Namespace, check: Callable[[S], None]
) -> Plan[S]:
    """Compose and validate every job; nothing is written.

    Raises UserError for the first mistake in any of them. `check` holds what the schema cannot know
    (is there such a device here?).
    """
    with composing(config_name, flags.config_dir) as composer:
        parsed = composer.parse(flags.overrides)
        if not flags.multirun:
            for override in parsed:
                if override.is_sweep_override():
                    what = "add -m to sweep over them" if flags.sweeps else "it takes one"
                    raise UserError(f"{override.input_line} holds several values: {what}")
        _refuse_what_no_sweep_can(parsed)
        fixed = [o.input_line for o in parsed if not o.is_sweep_override() and o.input_line]
        base = composer.compose(fixed)
        _refuse_hidden_resume(base)
        multirun = flags.multirun or base.hydra.mode is RunMode.MULTIRUN
        if multirun and not flags.sweeps:
            raise UserError(f"agegender-{config_name} does not sweep: leave out -m and sweep=")
        jobs = []
        for overrides in _job_overrides(composer, flags, base, multirun):
            try:
                composed = base if list(overrides) == fixed else composer.compose(overrides)
                config = validate(schema, to_plain(composed))
                check(config)
            except UserError as error:
                raise UserError(f"{error}{_comma_hint(parsed) if multirun else ''}") from error
            jobs.append(Job(tuple(overrides), config))
        if flags.resume is not None:
            flags.resume.check_same([job.overrides for job in jobs])
        where = "hydra.sweep.dir" if multirun else "hydra.run.dir"
        chosen = any(override.key_or_group == where for override in parsed)
        return Plan(
            tuple(jobs),
            multirun,
            tuple(flags.overrides),
            flags.config_dir,
            OmegaConf.select(base, where),
            chosen,
            base.hydra.launcher["_target_"].rpartition(".")[2],
            flags.resume,
        )


def _refuse_what_no_sweep_can(parsed: Sequence[Override]) -> None:
    for override in parsed:
        if override.key_or_group == "hydra.sweep.subdir":
            raise UserError(
                "hydra.sweep.subdir cannot be set: the sweep's table finds its jobs by number; "
                "hydra.sweep.dir=DIR moves the whole sweep"
            )
        if override.key_or_group == "sweep" and override.is_sweep_override():
            raise UserError(
                f"{override.input_line}: one preset at a time; the other's values can stand beside it, "
                "e.g. sweep=lambda_grid seed=0,1,2"
            )


def _refuse_hidden_resume(base: DictConfig) -> None:
    """The command line alone resumes: a YAML that did would be passed over."""
    if OmegaConf.select(base, "resume") is not None:
        raise UserError(f"resume={base['resume']} stands in a YAML: it belongs on the command line")
    told = OmegaConf.select(base, "sweep")
    if told is not None and told != {"resume": None}:
        raise UserError(
            f"sweep holds {OmegaConf.to_container(told)}: its only key is sweep.resume, which belongs on the "
            "command line"
        )


def _job_overrides(
    composer: Composer, flags: argparse.Namespace, base: DictConfig, multirun: bool
) -> list[list[str]]:
    """The overrides of every job that the command line means."""
    resume: Resume | None = flags.resume
    if resume is not None and resume.as_recorded:
        return resume.jobs(flags.overrides)
    if resume is not None and not multirun:
        raise UserError(
            f"sweep.resume with {' '.join(flags.overrides)}: leave that out to take up the recorded sweep, "
            "or give the sweep's whole command line with -m"
        )
    return _expand(composer, flags.overrides, base) if multirun else [flags.overrides]


def _expand(composer: Composer, overrides: Sequence[str], base: DictConfig) -> list[list[str]]:
    """The jobs of a sweep as Hydra's basic sweeper will make them, `hydra.sweeper.params` included."""
    params = OmegaConf.select(base, "hydra.sweeper.params") or {}
    lines = [quote_paths(f"{key}={value}", multirun=True) for key, value in params.items()]
    try:
        batches = BasicSweeper.split_arguments(composer.parse([*lines, *overrides]), None)
    except HydraException as error:
        raise UserError(" ".join(str(error).split())) from error
    return [list(job) for job in batches[0]]


def _comma_hint(parsed: Sequence[object]) -> str:
    for override in parsed:
        key = getattr(override, "key_or_group", "")
        if is_path(key) and override.is_sweep_override():  # type: ignore[attr-defined]
            return f"; with -m a comma separates values: quote a path that holds one, {key}=\\'a,b\\'"
    return ""


def claim_directory(plan: Plan[S]) -> Path:
    """Create the directory of a run or sweep; two that start in one microsecond get two directories.

    Raises UserError when the user chose one that already holds a run or a sweep, or that cannot be made.
    """
    assert plan.directory is not None
    if not plan.directory:
        raise UserError("hydra.run.dir= and hydra.sweep.dir= need the path of a directory")
    path = Path(plan.directory).expanduser().absolute()
    try:
        return _claim(path, plan.directory_is_chosen)
    except OSError as error:
        raise UserError(f"cannot make the run directory {path}: {error.strerror or error}") from error


def _never_began(status: Path) -> bool:
    """No run, or one that failed before its first step: a corrected command may take its place."""
    try:
        found = read_json(status)
        return bool(found["status"] == "failed" and found["step"] == 0)
    except FileNotFoundError:
        return True
    except (ValueError, KeyError, TypeError):
        return False


def _claim(path: Path, is_chosen: bool) -> Path:
    if is_chosen:
        if (path / "sweep.json").exists():
            raise UserError(
                f"{path} already holds a sweep; choose another directory, or finish it: sweep.resume={path}"
            )
        if (path / "tune.json").exists():
            raise UserError(
                f"{path} already holds a search; choose another directory, or go on with it: "
                f"agegender-tune resume={path}"
            )
        if not _never_began(path / "status.json"):
            raise UserError(
                f"{path} already holds a run; choose another directory, or go on with it: resume={path}"
            )
        path.mkdir(parents=True, exist_ok=True)
        return path
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        path = path.with_name(f"{datetime.now():%H-%M-%S-%f}_{os.getpid()}")
        path.mkdir()
    return path
