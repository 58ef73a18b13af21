"""`agegender-train`: compose, check, train, report."""

from __future__ import annotations

import sys
from pathlib import Path

from agegender.cli.resume import resume_run
from agegender.cli.run import run_and_report
from agegender.cli.sweep import run_sweep
from agegender.config.entry import Entry, run_entry
from agegender.config.launch import launch
from agegender.config.preflight import Plan, claim_directory
from agegender.config.schema import TrainConfig


def check(config: TrainConfig) -> None:
    """What only this machine can tell, before any job starts."""
    from agegender.engine.device import check_accelerator, check_precision

    check_accelerator(config.trainer.accelerator)
    check_precision(config.trainer.accelerator, config.trainer.precision)


def execute(plan: Plan[TrainConfig]) -> int:
    """Run the planned job, or every job of the sweep; returns the exit code."""
    return run_sweep(plan, _job) if plan.multirun else _single(plan)


def train_and_report(config: TrainConfig, directory: Path, quiet: bool = False) -> None:
    """One run with its report; the report is written for a failed or interrupted run, too."""
    from agegender.engine.progress import Display
    from agegender.engine.run_directory import RunDirectory
    from agegender.engine.training import train

    run, display = RunDirectory(directory), Display(quiet)
    run_and_report(run, display, lambda: train(config, run, display))


def _figures(directory: Path) -> str:
    from agegender.report.run import summary_line

    return summary_line(directory)


def _single(plan: Plan[TrainConfig]) -> int:
    directory = claim_directory(plan)
    errors: list[Exception] = []

    def job(config: TrainConfig, path: Path) -> None:
        try:
            train_and_report(config, path)
        except Exception as error:  # Hydra would print it its own way
            errors.append(error)

    launch("train", plan, directory, TrainConfig, job)
    if errors:
        raise errors[0]
    return 0


def _job(config: TrainConfig, path: Path) -> str:
    train_and_report(config, path, quiet=True)
    return _figures(path)


ENTRY = Entry(
    config_name="train",
    schema=TrainConfig,
    execute=execute,
    examples=(
        "agegender-train",
        "agegender-train model=resnet34 loss.lambda=50 data=utkface data.root=~/UTKFace schedule=two_phase",
        "agegender-train experiment=published/model2 data=utkface data.root=~/UTKFace",
        "agegender-train -m loss.lambda=1,10,50,100",
        "agegender-train sweep=lambda_grid seed=0,1,2",
        "agegender-train resume=outputs/2026-01-31/12-00-00-000000",
        "agegender-train sweep.resume=outputs/multirun/2026-01-31/12-00-00-000000",
    ),
    sweeps=True,
    resume=resume_run,
    check=check,
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()
