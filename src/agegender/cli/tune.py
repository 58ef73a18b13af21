"""`agegender-tune`: search for the best values of some keys, a run a trial."""

from __future__ import annotations

import argparse
import gc
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agegender.cli import train
from agegender.cli.run import train_and_report
from agegender.config.entry import Entry, run_entry
from agegender.config.preflight import Plan, claim_directory, preflight
from agegender.config.schema import TrainConfig
from agegender.config.search import TuneConfig
from agegender.config.search_record import refuse_other_settings, taken_up
from agegender.config.space import checked_space
from agegender.core.errors import UserError
from agegender.core.world import current_world

if TYPE_CHECKING:  # `--help` must not wait for torch
    from agegender.engine.watch import Watch


def check(config: TuneConfig) -> None:
    """What only this machine can tell, before any trial starts."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UserError("agegender-tune needs Optuna: pip install 'agegender[tune]'") from None
    world = current_world()
    if world is not None:
        raise UserError(
            f"a search under {world.launcher} would run {world.size} times over: start it without"
        )
    train.check(config)


def execute(plan: Plan[TuneConfig]) -> int:
    """Start a search in a directory of its own; returns the exit code."""
    from agegender.tuning.search import run_search

    space = checked_space(plan, train.check)
    return run_search(space, claim_directory(plan), _train)


def resume(flags: argparse.Namespace) -> int | None:
    """Go on with the search that `resume=DIR` names; None where there is no such key."""
    with taken_up(flags) as directory:
        if directory is None:
            return None
        plan = preflight("tune", TuneConfig, flags, check)
        from agegender.tuning.search import run_search

        refuse_other_settings(plan.jobs[0].config, directory)
        return run_search(checked_space(plan, train.check), directory, _train)


def _train(config: TrainConfig, directory: Path, watch: Watch) -> None:
    from agegender.engine.watch import unwatched
    from agegender.engine.work import train_in

    gc.collect()  # faces and network of the trial before lie in cycles, which would wait while these fill up
    seen = watch if config.trainer.devices == 1 else unwatched
    work = partial(train_in, directory, config, quiet=True, watch=seen)
    train_and_report(config, directory, work, quiet=True)


ENTRY = Entry(
    config_name="tune",
    schema=TuneConfig,
    execute=execute,
    examples=(
        "agegender-tune search=lambda data=utkface data.root=~/UTKFace",
        "agegender-tune search=rates trials=50 timeout=8h model=resnet34 schedule=two_phase",
        "agegender-tune --config-dir my_groups search=mine    # my_groups/search/mine.yaml",
        "agegender-tune resume=outputs/tune/2026-01-31/12-00-00-000000 trials=100",
    ),
    check=check,
    resume=resume,
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()
