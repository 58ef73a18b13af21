"""A sweep's table: one row a job, rebuilt from what is on disk at every call."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pandas as pd

from agegender.config.sweep_record import read_record
from agegender.core.errors import UserError
from agegender.report.jobs import JobPlace, read_jobs
from agegender.report.page import Code
from agegender.report.run import write_report
from agegender.report.status import is_run, read_status
from agegender.report.sweep_page import write_sweep_page


def write_sweep(sweep_dir: Path) -> pd.DataFrame:
    """Write sweep.csv, sweep.md and sweep.html from sweep.json and the jobs' directories.

    Returns the table of sweep.csv: job, status, a column for each override, then for val and test the
    figures, the intervals of the part that stands for the sweep (test, or val where some job has no test
    part), faces_per_second, seconds, error, dir. A job that has no directory is `missing`, one whose
    process is gone is `killed`.
    """
    record = read_record(sweep_dir)
    jobs = read_jobs(
        [
            JobPlace(job.number, sweep_dir / job.dir, job.dir, dict(map(_key_value, job.overrides)))
            for job in record.jobs
        ]
    )
    title = f"agegender sweep {sweep_dir.resolve().name}"
    write_sweep_page(sweep_dir, title, jobs, ("Command", [Code(record.command, "sh")]))
    return jobs.table()


def complete_reports(sweep_dir: Path) -> None:
    """Write the reports of jobs that were ended before they had one; a damaged job keeps none."""
    for job in read_record(sweep_dir).jobs:
        run = sweep_dir / job.dir
        is_whole = (run / "report.html").exists() and (run / "metrics.json").exists()
        if is_run(run) and read_status(run)["status"] != "running" and not is_whole:
            with suppress(UserError):
                write_report(run)


def _key_value(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value
