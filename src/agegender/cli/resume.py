"""`resume=DIR`: a run goes on in its own directory, which stays as it is where it cannot."""

from __future__ import annotations

from agegender.cli.run import run_and_report
from agegender.config.continued import Continued
from agegender.config.schema import TrainConfig
from agegender.core.errors import UserError
from agegender.core.files import remove_halves
from agegender.core.lock import locked


def resume_run(plan: Continued[TrainConfig]) -> int:
    """Train what is left of a run; returns the exit code."""
    from agegender.report.status import read_status

    directory = plan.directory
    with locked(directory / "config.yaml") as is_ours:
        status = read_status(directory)
        if not is_ours or status["status"] == "running":
            pid = f" (pid {status['pid']})" if "pid" in status else ""
            raise UserError(f"resume={directory}: the run is still running{pid}; wait for it or end it first")
        if status["status"] == "ok" and not _goes_further(plan, status["step"]):
            print(f"{directory}: finished at step {status['step']} (status ok), nothing left to do")
            return 0
        _go_on(plan, status["seconds"] or 0.0)
    return 0


def _goes_further(plan: Continued[TrainConfig], step: int) -> bool:
    """Whether trainer.max_steps had ended the run, and now lies further on."""
    before, now = plan.recorded.trainer.max_steps, plan.config.trainer.max_steps
    return before is not None and step >= before and (now is None or now > before)


def _go_on(plan: Continued[TrainConfig], seconds: float) -> None:
    from agegender.engine.progress import Display
    from agegender.engine.resume import take_up
    from agegender.engine.run_directory import RunDirectory
    from agegender.engine.training import finish

    run, display = RunDirectory(plan.directory, seconds_before=seconds), Display()
    fit = take_up(plan.config, run, display)

    def work() -> None:
        remove_halves(plan.directory)
        if plan.config != plan.recorded:
            run.write_config(plan.config.to_dict())
        finish(fit)

    run_and_report(run, display, work)
