"""`resume=DIR`: a run goes on in its own directory, which stays as it is where it cannot."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from agegender.cli.run import train_and_report
from agegender.cli.together import first_decides
from agegender.config.continued import Continued
from agegender.config.schema import TrainConfig
from agegender.core.errors import UserError
from agegender.core.lock import locked
from agegender.core.world import is_first


def resume_run(plan: Continued[TrainConfig]) -> int:
    """Train what is left of a run; returns the exit code."""
    from agegender.engine.work import resume_in

    with ExitStack() as held:
        seconds = first_decides(plan.config, lambda: _taken_up(plan, held))
        if seconds is None:
            return 0
        work = partial(resume_in, plan.directory, plan.config, seconds)
        if is_first():
            train_and_report(plan.config, plan.directory, work)
        else:
            work()
    return 0


def _taken_up(plan: Continued[TrainConfig], held: ExitStack) -> float | None:
    """Keep others out of the directory; the seconds that the run has taken so far, None where it is over."""
    from agegender.report.status import read_status

    directory = plan.directory
    is_ours = held.enter_context(locked(directory / "config.yaml"))
    status = read_status(directory)
    if not is_ours or status["status"] == "running":
        pid = f" (pid {status['pid']})" if "pid" in status else ""
        raise UserError(f"resume={directory}: the run is still running{pid}; wait for it or end it first")
    if status["status"] == "ok" and not _goes_further(plan, status["step"]):
        print(f"{directory}: finished at step {status['step']} (status ok), nothing left to do")
        return None
    return float(status["seconds"] or 0)


def _goes_further(plan: Continued[TrainConfig], step: int) -> bool:
    """Whether trainer.max_steps had ended the run, and now lies further on."""
    before, now = plan.recorded.trainer.max_steps, plan.config.trainer.max_steps
    return before is not None and step >= before and (now is None or now > before)
