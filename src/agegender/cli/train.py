"""`agegender-train`: compose, check, train, report."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from agegender.cli.resume import resume_run
from agegender.cli.run import train_and_report
from agegender.cli.sweep import run_sweep
from agegender.cli.together import first_decides, refuse_misplaced, refuse_tasks
from agegender.config.continued import continued
from agegender.config.entry import Entry, run_entry
from agegender.config.launch import launch
from agegender.config.preflight import Plan, claim_directory
from agegender.config.schema import TrainConfig
from agegender.core.world import check_world, is_first


def check(config: TrainConfig) -> None:
    """What only this machine and the table to come can tell, before any job starts."""
    from agegender.engine.device import check_devices
    from agegender.engine.rehearsal import check_network
    from agegender.evaluation.axes import check_columns
    from agegender.tracking.trackers import check_trackers

    check_world(config.trainer.devices, config.trainer.num_nodes)
    check_devices(config.trainer)
    check_columns(config.evaluation.by)
    check_trackers(config.tracking)
    check_network(config)


def execute(plan: Plan[TrainConfig]) -> int:
    """Run the planned job, or every job of the sweep; returns the exit code."""
    if not plan.multirun:
        return _single(plan)
    refuse_misplaced(plan)
    return run_sweep(plan, _job)


def resume(flags: argparse.Namespace) -> int | None:
    """Go on with the run that `resume=DIR` names; None where there is no such key."""
    run = continued(flags, TrainConfig, check)
    return None if run is None else resume_run(run)


def _single(plan: Plan[TrainConfig]) -> int:
    config = plan.jobs[0].config
    directory = first_decides(config, lambda: claim_directory(plan))
    if not is_first():  # Hydra writes beside the run, so it is the first one's alone
        from agegender.engine.work import train_in

        train_in(directory, config)
        return 0
    errors: list[Exception] = []

    def job(config: TrainConfig, path: Path) -> None:
        try:
            _train(config, path)
        except Exception as error:  # Hydra would print it its own way
            errors.append(error)

    launch("train", plan, directory, TrainConfig, job)
    if errors:
        raise errors[0]
    return 0


def _train(config: TrainConfig, directory: Path, quiet: bool = False) -> None:
    from agegender.engine.work import train_in

    train_and_report(config, directory, partial(train_in, directory, config, quiet), quiet)


def _job(config: TrainConfig, path: Path) -> str:
    from agegender.report.run import summary_line

    refuse_tasks()
    _train(config, path, quiet=True)
    return summary_line(path)


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
        "agegender-train trainer.devices=4",
        "agegender-train resume=outputs/2026-01-31/12-00-00-000000",
        "agegender-train sweep.resume=outputs/multirun/2026-01-31/12-00-00-000000",
    ),
    sweeps=True,
    resume=resume,
    check=check,
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()
