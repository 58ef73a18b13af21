"""A sweep's table: one row a job, rebuilt from what is on disk at every call."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.config.sweep_record import read_record
from agegender.core.errors import UserError
from agegender.core.files import read_json, write_csv, write_text
from agegender.report.figures import BOOTSTRAPPED, cell, judged_part
from agegender.report.page import Block, Code, Links, Page, Table, Text
from agegender.report.repeats import FIGURES, repeat_blocks, repeated
from agegender.report.run import write_report
from agegender.report.status import is_run, read_status
from agegender.report.sweep_plots import sweep_figures

_NO_TEST = (
    "Some jobs have no test part, and are compared with the others on val, which also picked the epoch; "
    "sweep.csv holds the test figures of those that have them."
)


def write_sweep(sweep_dir: Path) -> pd.DataFrame:
    """Write sweep.csv, sweep.md and sweep.html from sweep.json and the jobs' directories.

    Returns the table of sweep.csv: job, status, a column for each override, then for val and test the
    figures, the intervals of the part that stands for the sweep (test, or val where some job has no test
    part), seconds, error, dir. A job that has no directory is `missing`, one whose process is gone is
    `killed`.
    """
    record = read_record(sweep_dir)
    jobs = [job.to_dict() for job in record.jobs]
    figures = [_figures(sweep_dir / job["dir"]) for job in jobs]
    judged = {judged_part(each) for each in figures if each["val"] or each["test"]}
    part = "test" if judged == {"test"} else "val"  # one part for all, or the jobs could not be compared
    overrides = [dict(map(_key_value, job["overrides"])) for job in jobs]
    keys = list(dict.fromkeys(key for each in overrides for key in each))
    rows = []
    for job, chosen, values in zip(jobs, overrides, figures, strict=True):
        status = read_status(sweep_dir / job["dir"])
        row = {"job": job["number"], "status": status["status"]} | {key: chosen.get(key) for key in keys}
        row |= {name: (values[which] or {}).get(figure) for name, which, figure in _columns(part)}
        rows.append(row | {"seconds": status["seconds"], "error": status["error"], "dir": job["dir"]})
    table = pd.DataFrame(rows)
    write_csv(table, sweep_dir / "sweep.csv", "%.9g")
    page = _page(sweep_dir, rows, keys, part, record.command, _constants(rows, figures, part))
    write_text(sweep_dir / "sweep.md", page.to_markdown(sweep_dir))
    write_text(sweep_dir / "sweep.html", page.to_html())
    return table


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


def _figures(run_dir: Path) -> dict[str, Any]:
    """metrics.json, or no figures where the job has not written it."""
    try:
        figures = read_json(run_dir / "metrics.json")
    except (FileNotFoundError, NotADirectoryError, ValueError):
        figures = None
    is_whole = isinstance(figures, dict) and {"val", "test"} <= figures.keys()
    return figures if is_whole else {"val": None, "test": None}


def _columns(part: str) -> list[tuple[str, str, str]]:
    """(column, part, figure) of the table's figures."""
    points = [(which, name) for which in ("val", "test") for name in FIGURES]
    bounds = [(part, f"{name}_{bound}") for name in FIGURES for bound in ("low", "high")]
    return [(f"{which}_{name}", which, name) for which, name in (*points, *bounds)]


def _constants(
    rows: list[dict[str, Any]], figures: list[dict[str, Any]], part: str
) -> dict[str, float | None]:
    """The constant predictor's figures where all finished jobs agree on them: they judge the same faces."""
    done = [
        each[part] for row, each in zip(rows, figures, strict=True) if row["status"] == "ok" and each[part]
    ]
    found = {}
    for name in FIGURES:
        values = {each.get(f"constant_{name}") for each in done}
        found[name] = values.pop() if len(values) == 1 else None
    return found


def _page(
    sweep_dir: Path,
    rows: list[dict[str, Any]],
    keys: list[str],
    part: str,
    command: str,
    constants: dict[str, float | None],
) -> Page:
    varied = [key for key in keys if len({row[key] for row in rows}) > 1]
    page = Page(f"agegender sweep {sweep_dir.resolve().name}")
    page.section("Jobs", *_summary(rows, part), _jobs(rows, varied or keys, part))
    if part == "val" and any(row["test_age_mae"] is not None for row in rows):
        page.sections[0].blocks.insert(1, Text(_NO_TEST))
    pictures = sweep_figures(sweep_dir / "plots", rows, varied, part, constants)
    if pictures:
        page.section(f"Figures of the {part} part", *pictures)
    repeats = repeat_blocks(rows, varied, part)
    if repeats:
        page.section(f"Mean over {repeated(varied)}", *repeats)
    failed = [Text(f"job {row['job']}: {row['error']}") for row in rows if row["error"]]
    if failed:
        page.section("Errors", *failed)
    reports = [(f"job {row['job']}", f"{row['dir']}/report.html") for row in rows]
    written = [(label, target) for label, target in reports if (sweep_dir / target).exists()]
    if written:
        page.section("Reports", Links(written))
    page.section("Command", Code(command, "sh"))
    return page


def _summary(rows: list[dict[str, Any]], part: str) -> list[Block]:
    statuses = [row["status"] for row in rows]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    blocks: list[Block] = [Text(f"Jobs: {len(rows)} ({counts}). All figures are of the {part} part.")]
    column = f"{part}_harmonic_mean"
    scored = [row for row in rows if row[column] is not None]
    if scored:
        best = max(scored, key=lambda row: row[column])
        text = f"Best harmonic mean on {part}: job {best['job']} with {best[column]:.3f}."
        if len(scored) > 1:
            text += f" It was chosen on the {part} faces themselves, which flatters it."
        blocks.append(Text(text))
    return blocks


def _jobs(rows: list[dict[str, Any]], varied: list[str], part: str) -> Table:
    """The jobs with the overrides in which they differ."""
    lines = []
    for row in rows:
        values = {name.removeprefix(f"{part}_"): value for name, value in row.items()}
        seconds = "–" if row["seconds"] is None else str(timedelta(seconds=round(row["seconds"])))
        chosen = ["–" if row[key] is None else row[key] for key in varied]
        figures = [cell(values, name) for name in FIGURES]
        lines.append([str(row["job"]), row["status"], *chosen, *figures, seconds])
    bounded = any(row[f"{part}_{name}_low"] is not None for row in rows for name in FIGURES)
    caption = BOOTSTRAPPED if bounded else ""
    return Table(["job", "status", *varied, *FIGURES.values(), "time"], lines, caption)
