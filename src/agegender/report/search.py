"""A search's table and page: a row a trial, the best one, and what each key did to the figure."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.core.files import write_csv, write_text
from agegender.report.figures import BOOTSTRAPPED, FIGURES, cell
from agegender.report.files import read_mapping
from agegender.report.page import Block, Code, Facts, Links, Page, Table, Text
from agegender.report.search_plots import search_figures
from agegender.report.trials import Search

CHOSEN = "It was chosen on the val faces themselves, which flatters it."


def write_table(directory: Path, search: Search) -> None:
    """Write tune.csv into the search's directory: a row a trial."""
    rows = [
        {"trial": trial.number, "state": trial.state}
        | {key: trial.chosen.get(key) for key in search.keys}
        | {f"val_{search.monitor}": trial.figure, "epochs": trial.epochs, "seconds": trial.seconds}
        | {"error": trial.error, "dir": str(trial.number)}
        for trial in search.trials
    ]
    columns = ["trial", "state", *search.keys, f"val_{search.monitor}", "epochs", "seconds", "error", "dir"]
    write_csv(pd.DataFrame(rows, columns=columns), directory / "tune.csv", "%.9g")


def write_page(directory: Path, search: Search) -> None:
    """Write tune.md, tune.html and plots/."""
    page = _page(directory, search)
    write_text(directory / "tune.md", page.to_markdown(directory))
    write_text(directory / "tune.html", page.to_html())


def _page(directory: Path, search: Search) -> Page:
    page = Page(f"agegender search {directory.resolve().name}")
    page.section("Best trial", *_best(directory, search))
    pictures = search_figures(directory / "plots", search)
    if pictures:
        page.section("Figures", *pictures)
    page.section("Trials", _counts(search), _trials(search))
    failed = [Text(f"trial {trial.number}: {trial.error}") for trial in search.trials if trial.error]
    if failed:
        page.section("Errors", *failed)
    reports = [(f"trial {trial.number}", f"{trial.number}/report.html") for trial in search.trials]
    written = [(label, target) for label, target in reports if (directory / target).exists()]
    if written:
        page.section("Reports", Links(written))
    page.section("Command", Code(search.command, "sh"))
    return page


def _best(directory: Path, search: Search) -> list[Block]:
    best = search.best
    if best is None:
        return [Text("No trial is complete yet.")]
    complete = sum(trial.state == "complete" for trial in search.trials)
    facts = [
        (search.label, f"{search.shown(best.figure)}, trial {best.number}, the best of {complete}"),
        *((key, _value(best.chosen.get(key))) for key in search.keys),
    ]
    blocks: list[Block] = [Facts(facts), Text(CHOSEN)]
    test = read_mapping(directory / str(best.number) / "metrics.json").get("test")
    if test:
        rows = [[FIGURES[name][0], cell(test, name), cell({name: test[f"constant_{name}"]}, name)] for name in
                ("age_rmse", "gender_f1", "harmonic_mean")]  # fmt: skip
        headers = ["its figures on test, which nothing was chosen by", "", "constant predictor"]
        blocks.append(Table(headers, rows, BOOTSTRAPPED))
    return [*blocks, Text("To train it again:"), Code(search.train_command, "sh")]


def _counts(search: Search) -> Text:
    states = [trial.state for trial in search.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return Text(f"Trials: {len(states)} ({counts or 'none yet'}); asked for: {search.asked}.")


def _trials(search: Search) -> Table:
    rows = []
    for trial in search.trials:
        seconds = "–" if trial.seconds is None else str(timedelta(seconds=round(trial.seconds)))
        values = [_value(trial.chosen.get(key)) for key in search.keys]
        figure = search.shown(trial.figure)
        rows.append([str(trial.number), trial.state, figure, str(trial.epochs), seconds, *values])
    caption = f"{search.heading} of each trial's best epoch, which the run keeps."
    return Table(["trial", "state", search.label, "epochs", "time", *search.keys], rows, caption)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)
