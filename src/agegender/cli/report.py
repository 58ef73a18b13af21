"""`agegender-report`: rebuild reports from what is on disk, also of killed runs; merge and compare them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agegender.config.entry import Entry, run_entry
from agegender.config.preflight import Plan, claim_directory
from agegender.config.report import ReportConfig
from agegender.core.errors import UserError

if TYPE_CHECKING:  # `--help` must not wait for pandas
    from agegender.report.compare import Comparison


def execute(plan: Plan[ReportConfig]) -> int:
    """Rebuild and merge what `runs` names, or compare the two runs of `compare`."""
    config = plan.jobs[0].config
    if config.compare is not None:
        _compare(plan, *config.compare)
    elif config.runs is not None:
        _rebuild(config.runs)
        if len({path.resolve() for path in config.runs}) > 1:
            _merge(plan, config.runs)
    return 0


def _rebuild(paths: list[Path]) -> None:
    """The report of every run and the table of every sweep."""
    from agegender.report.run import write_report
    from agegender.report.status import is_run, is_sweep
    from agegender.report.sweep import complete_reports, write_sweep

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


def _merge(plan: Plan[ReportConfig], paths: list[Path]) -> None:
    from agegender.report.merged import read_merged, write_merged

    try:
        merged = read_merged(paths)
    except UserError as error:
        raise UserError(f"no page over all (their own reports are rebuilt): {error}") from error
    folder = _output(plan)
    write_merged(merged, folder)
    print(folder / "sweep.html")


def _compare(plan: Plan[ReportConfig], path_a: Path, path_b: Path) -> None:
    from agegender.report.compare import compare_runs, write_comparison

    comparison = compare_runs(path_a, path_b)
    folder = _output(plan)
    write_comparison(comparison, folder)
    _show(comparison)
    print(folder / "compare.html")


def _output(plan: Plan[ReportConfig]) -> Path:
    """The folder that was asked for, or a fresh one."""
    folder = plan.jobs[0].config.output
    if folder is None:
        return claim_directory(plan)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output={folder}: cannot be made ({error.strerror or error})") from error
    return folder


def _show(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table

    from agegender.report.compare import comparison_table

    content = comparison_table(comparison)
    table = Table(*content.headers, caption=content.caption, caption_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in content.rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


ENTRY = Entry(
    config_name="report",
    schema=ReportConfig,
    execute=execute,
    examples=(
        "agegender-report runs=[outputs/2026-01-31/12-00-00-000000]",
        "agegender-report runs=[SWEEP_A,SWEEP_B,RUN] output=together      # and one page over all their jobs",
        "agegender-report compare=[RUN_A,RUN_B]                           # B - A on the same faces",
    ),
)


def main() -> None:
    sys.exit(run_entry(ENTRY))


if __name__ == "__main__":
    main()
