"""`agegender-evaluate`: judge a run, an ensemble or a table of predictions."""

from __future__ import annotations

import sys

from agegender.cli.run import reported
from agegender.config.entry import Entry, run_entry
from agegender.config.inference import EvaluateConfig
from agegender.config.preflight import Plan, claim_directory


def check(config: EvaluateConfig) -> None:
    """What only this machine and the table to come can tell, before anything is read."""
    from agegender.engine.checkpoint import load_best
    from agegender.engine.device import check_accelerator
    from agegender.evaluation.axes import check_columns

    check_accelerator(config.trainer.accelerator)
    if config.predictions is None:  # else its own columns count, which the report knows
        check_columns(config.evaluation.by)
    if config.run is not None:
        load_best(config.run)
    for run in config.ensemble or () if config.data is not None else ():
        load_best(run)


def execute(plan: Plan[EvaluateConfig]) -> int:
    """Write metrics, predictions and report into a directory of its own."""
    from agegender.engine.progress import Display
    from agegender.engine.run_directory import RunDirectory, running
    from agegender.inference.evaluate import evaluate

    config = plan.jobs[0].config
    run, display = RunDirectory(claim_directory(plan)), Display()
    with reported(run.path, display), running(run):
        evaluate(config, run, display)
    return 0


ENTRY = Entry(
    config_name="evaluate",
    schema=EvaluateConfig,
    execute=execute,
    examples=(
        "agegender-evaluate run=outputs/2026-01-31/12-00-00-000000 data=utkface data.root=~/UTKFace",
        "agegender-evaluate run=DIR data=csv data.csv=faces.csv data.columns.age=age faces=unseen",
        "agegender-evaluate run=DIR uncertainty=tta                  # its own faces again, another way",
        "agegender-evaluate ensemble=[DIR_A,DIR_B,DIR_C]             # the mean of several runs of one split",
        "agegender-evaluate predictions=theirs.csv                   # what any program predicted",
    ),
    check=check,
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()
