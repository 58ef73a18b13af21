"""`agegender-report`: rebuild reports from what is on disk, also of killed runs."""

from __future__ import annotations

import sys

from agegender.config.entry import Entry, run_entry
from agegender.config.preflight import Plan
from agegender.config.schema import ReportConfig
from agegender.core.errors import UserError


def execute(plan: Plan[ReportConfig]) -> int:
    """Rebuild the report of every run and the table of every sweep that was named."""
    from agegender.report.run import write_report
    from agegender.report.status import is_run, is_sweep
    from agegender.report.sweep import complete_reports, write_sweep

    paths = plan.jobs[0].config.runs
    for path in paths:
        if not is_run(path) and not is_sweep(path):
            raise UserError(f"runs={path}: neither a run nor a sweep (no status.json, no sweep.json in it)")
    for path in paths:
        if is_sweep(path):
            complete_reports(path)
            write_sweep(path)
            print(path / "sweep.md")
        else:
            write_report(path)
            print(path / "report.html")
    return 0


ENTRY = Entry(
    config_name="report",
    schema=ReportConfig,
    execute=execute,
    examples=("agegender-report runs=[outputs/2026-01-31/12-00-00-000000]",),
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()
