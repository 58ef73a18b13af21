"""Hydra runs what the pre-flight has checked: one job, or the jobs of a sweep."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig

from agegender.config.compose import conf_dir, to_plain, validate
from agegender.config.options import Options
from agegender.config.preflight import Plan

S = TypeVar("S", bound=Options)

_SWEEPS_OWN = ("hydra.mode=", "hydra.sweep.", "hydra.sweeper.")


def run_hydra(config_name: str, arguments: list[str], task: Callable[[DictConfig], Any]) -> None:
    """`@hydra.main` with our YAML and these arguments; exceptions reach the caller as they are."""
    argv, sys.argv = sys.argv, [f"agegender-{config_name}", *arguments]
    full_error = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(task)()
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def launch(
    config_name: str, plan: Plan[S], directory: Path, schema: type[S], job: Callable[[S, Path], None]
) -> None:
    """Call `job(config, run directory)` for every job of the plan, through Hydra and its launcher."""

    def task(config: DictConfig) -> None:
        job(validate(schema, to_plain(config)), Path(HydraConfig.get().runtime.output_dir))

    key = "hydra.sweep.dir" if plan.multirun else "hydra.run.dir"
    flags = ["--multirun"] if plan.multirun else []
    run_hydra(config_name, [*_arguments(config_name, plan, plan.overrides, key, directory), *flags], task)


def launch_one(
    config_name: str,
    plan: Plan[S],
    number: int,
    directory: Path,
    schema: type[S],
    job: Callable[[S, Path], None],
) -> None:
    """Call `job` for one job of a sweep, as a run of its own: the others stay as they are on disk."""

    def task(config: DictConfig) -> None:
        job(validate(schema, to_plain(config)), directory)

    overrides = [line for line in plan.jobs[number].overrides if not line.startswith(_SWEEPS_OWN)]
    overrides.append("hydra.mode=RUN")  # a preset says MULTIRUN
    if "${" in str(directory):
        overrides.append("hydra.output_subdir=null")  # .hydra/ would go where Hydra resolves that to
    run_hydra(config_name, _arguments(config_name, plan, overrides, "hydra.run.dir", directory), task)


def _arguments(
    config_name: str, plan: Plan[S], overrides: Sequence[str], key: str, directory: Path
) -> list[str]:
    """Hydra's command line with `directory` under `key`; flags come last, as Hydra's parser wants them."""
    # Hydra resolves interpolations inside quotes, hence the backslash
    quoted = QuotedString(text=str(directory).replace("${", "\\${"), quote=Quote.single).with_quotes()
    kept = [line for line in overrides if not line.startswith(key + "=")]
    arguments = [*kept, f"{key}={quoted}", f"hydra.job.name={config_name}"]
    if plan.config_dir is not None:
        arguments += ["--config-dir", str(Path(plan.config_dir).expanduser())]
    return arguments
