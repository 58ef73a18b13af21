"""`agegender-train`: compose, check, train, report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from agegender.config.entry import Entry, run_entry
from agegender.config.launch import launch
from agegender.config.preflight import Plan, claim_directory
from agegender.config.schema import TrainConfig
from agegender.core.files import write_json


def check(config: TrainConfig) -> None:
    """What only this machine can tell, before any job starts."""
    from agegender.engine.device import check_accelerator

    check_accelerator(config.trainer.accelerator)


def execute(plan: Plan[TrainConfig]) -> int:
    """Run the planned job, or every job of the sweep; returns the exit code."""
    return _sweep(plan) if plan.multirun else _single(plan)


def train_and_report(config: TrainConfig, directory: Path, quiet: bool = False) -> None:
    """One run with its report; the report is written for a failed or interrupted run, too."""
    from agegender.engine.progress import Display
    from agegender.engine.run_directory import running
    from agegender.engine.training import train
    from agegender.report.run import write_report

    display = Display(quiet)
    try:
        with running(directory) as run:
            train(config, run, display)
    finally:
        write_report(directory)
    display.say(_summary(directory))


def _summary(directory: Path) -> str:
    from agegender.report.run import summary_line

    return f"{summary_line(directory)}\nreport: {directory / 'report.html'}"


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


def _own(overrides: tuple[str, ...]) -> list[str]:
    """What makes the job: where Hydra puts and runs it does not."""
    return [override for override in overrides if not override.lstrip("+~").startswith("hydra")]


def _sweep(plan: Plan[TrainConfig]) -> int:
    from agegender.report.sweep import write_sweep

    directory = claim_directory(plan)
    jobs: list[dict[str, Any]] = [
        {"number": number, "dir": str(number), "overrides": _own(job.overrides)}
        for number, job in enumerate(plan.jobs)
    ]
    command = shlex.join(["agegender-train", *plan.overrides, "--multirun"])
    write_json(directory / "sweep.json", {"jobs": jobs, "command": command})
    print(f"sweep of {len(jobs)} jobs in {directory}")

    def job(config: TrainConfig, path: Path) -> None:
        number = int(path.name)
        print(f"[{number + 1}/{len(jobs)}] {' '.join(jobs[number]['overrides'])}", flush=True)
        try:
            train_and_report(config, path, quiet=True)
            print(f"    {_summary(path).splitlines()[0]}", flush=True)
        except Exception as error:  # the other jobs go on
            print(f"    failed: {error}", file=sys.stderr, flush=True)
        finally:
            write_sweep(directory)

    launch("train", plan, directory, TrainConfig, job)
    table = write_sweep(directory)
    print(f"table: {directory / 'sweep.md'}")
    return 0 if (table["status"] == "ok").all() else 1


ENTRY = Entry(
    config_name="train",
    schema=TrainConfig,
    execute=execute,
    examples=(
        "agegender-train",
        "agegender-train model=resnet34 loss.lambda=50 data=utkface data.root=~/UTKFace schedule=two_phase",
        "agegender-train experiment=published/model2 data=utkface data.root=~/UTKFace",
        "agegender-train -m loss.lambda=1,10,50,100",
    ),
    sweeps=True,
    check=check,
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()
