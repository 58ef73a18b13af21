"""The page over jobs, whether of one sweep or of several."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from agegender.core.files import write_csv, write_text
from agegender.report.figures import BOOTSTRAPPED, cell, interval_note
from agegender.report.jobs import Jobs
from agegender.report.leaderboard import Setting, leaderboard, ranked
from agegender.report.page import Block, Links, Page, Table, Text
from agegender.report.repeats import FIGURES, one_setting, repeated
from agegender.report.sweep_plots import sweep_figures
from agegender.report.tradeoff import tradeoff_blocks

_NO_TEST = (
    "Some jobs have no test part, and are compared with the others on val, which also picked the epoch; "
    "sweep.csv holds the test figures of those that have them."
)


def write_sweep_page(folder: Path, title: str, jobs: Jobs, *last: tuple[str, list[Block]]) -> None:
    """Write sweep.csv, sweep.md, sweep.html and plots into `folder`; `last` holds the final sections."""
    write_csv(jobs.table(), folder / "sweep.csv", "%.9g")
    page = _page(folder, title, jobs)
    for heading, blocks in last:
        page.section(heading, *blocks)
    write_text(folder / "sweep.md", page.to_markdown(folder))
    write_text(folder / "sweep.html", page.to_html())


def _page(folder: Path, title: str, jobs: Jobs) -> Page:
    page, settings = Page(title), ranked(jobs)
    page.section("Result", *_summary(jobs, settings))
    if len(settings) > 1:
        page.section("Leaderboard", leaderboard(jobs, settings))
        trades = tradeoff_blocks(folder / "plots", jobs, settings)
        if trades:
            page.section("Age against gender", *trades)
    elif repeated(jobs.varied):
        what = repeated(jobs.varied)
        page.section(f"Mean over {what}", one_setting(jobs.rows, jobs.part, what))
    pictures = sweep_figures(folder / "plots", jobs.rows, jobs.varied, jobs.part, jobs.constants)
    if pictures:
        page.section(f"Figures of the {jobs.part} part", *pictures)
    page.section("Jobs", _table(jobs))
    failed = [Text(f"job {row['job']}: {row['error']}") for row in jobs.rows if row["error"]]
    if failed:
        page.section("Errors", *failed)
    reports = [(f"job {row['job']}", f"{row['dir']}/report.html") for row in jobs.rows]
    written = [(label, target) for label, target in reports if (folder / target).exists()]
    if written:
        page.section("Reports", Links(written))
    return page


def _summary(jobs: Jobs, settings: list[Setting]) -> list[Block]:
    rows, part = jobs.rows, jobs.part
    statuses = [row["status"] for row in rows]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    blocks: list[Block] = [Text(f"Jobs: {len(rows)} ({counts}). All figures are of the {part} part.")]
    if part == "val" and any(row["test_age_mae"] is not None for row in rows):
        blocks.append(Text(_NO_TEST))
    if (note := interval_note(jobs.age_targets)) is not None:
        blocks.append(Text(note))
    what = repeated(jobs.varied)
    best = settings[0].figures.get("harmonic_mean") if settings else None
    if what and best is not None and len(settings) > 1:
        keys = ", ".join(f"{key}={value}" for key, value in settings[0].chosen.items() if value is not None)
        text = f"Best mean of the harmonic mean on {part}: {keys} with {best.mean:.3f} over {best.n} {what}."
        return [*blocks, Text(f"{text} {_chosen(part)}")]
    column = f"{part}_harmonic_mean"
    scored = [row for row in rows if row[column] is not None]
    if scored:
        first = max(scored, key=lambda row: row[column])
        text = f"Best harmonic mean on {part}: job {first['job']} with {first[column]:.3f}."
        blocks.append(Text(f"{text} {_chosen(part)}" if len(scored) > 1 else text))
    return blocks


def _chosen(part: str) -> str:
    return f"It was chosen on the {part} faces themselves, which flatters it."


def _table(jobs: Jobs) -> Table:
    """The jobs with the settings in which they differ."""
    shown, part = jobs.varied or jobs.keys, jobs.part
    lines = []
    for row in jobs.rows:
        values = {name.removeprefix(f"{part}_"): value for name, value in row.items()}
        seconds = "–" if row["seconds"] is None else str(timedelta(seconds=round(row["seconds"])))
        chosen = ["–" if row[key] is None else row[key] for key in shown]
        figures = [cell(values, name) for name in FIGURES]
        lines.append([str(row["job"]), row["status"], *chosen, *figures, seconds])
    bounded = any(row[f"{part}_{name}_low"] is not None for row in jobs.rows for name in FIGURES)
    caption = BOOTSTRAPPED if bounded else ""
    return Table(["job", "status", *shown, *FIGURES.values(), "time"], lines, caption)
