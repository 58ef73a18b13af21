"""Two runs on the same faces: by how much the second one is better or worse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from agegender.core.errors import UserError
from agegender.core.files import write_csv, write_text
from agegender.evaluation.paired import Difference, paired_difference
from agegender.evaluation.table import read_predictions
from agegender.report.figures import FIGURES, interval_note, number
from agegender.report.files import read_mapping
from agegender.report.page import Block, Facts, Page, Table, Text
from agegender.report.runs import Run, differing_settings, read_run, refuse_incomparable
from agegender.report.status import is_run, is_sweep

_COMPARED = ("age_rmse", "age_mae", "gender_f1", "gender_accuracy", "harmonic_mean")
_RESAMPLES = 2000


@dataclass(frozen=True)
class Comparison:
    """B minus A, figure by figure."""

    a: Run
    b: Run
    part: str
    n: int
    differences: dict[str, Difference]
    age_target: str
    """Which labels the faces have: exact, interval or mixed."""


def compare_runs(path_a: Path, path_b: Path) -> Comparison:
    """On the test part, or on val where there is none.

    Raises UserError for what is no run, has no predictions, or judges other faces.
    """
    a, b = _run(path_a), _run(path_b)
    refuse_incomparable([a, b])
    tables = [read_predictions(run.path / "predictions.csv") for run in (a, b)]
    part = "test" if any((table["split"] == "test").any() for table in tables) else "val"
    judged = [table[table["split"] == part] for table in tables]
    try:
        differences = paired_difference(judged[:1], judged[1:], a.rmse_cap, _RESAMPLES)
    except UserError as error:
        raise UserError(f"{path_a} and {path_b} cannot be compared: {error}") from error
    target = (read_mapping(path_a / "metrics.json").get(part) or {}).get("age_target", "exact")
    return Comparison(a, b, part, len(judged[0]), {name: differences[name] for name in _COMPARED}, target)


def _run(path: Path) -> Run:
    if is_sweep(path):
        raise UserError(f"compare takes two runs; {path} is a sweep: name one of its jobs, {path / '0'}")
    if not is_run(path):
        raise UserError(f"{path} is no run: there is no status.json in it")
    run = read_run(path)
    if not (path / "predictions.csv").exists():
        raise UserError(f"{path} has no predictions.csv to compare (its status: {run.status})")
    return run


def comparison_table(comparison: Comparison) -> Table:
    """A row a figure."""
    rows = []
    for name, found in comparison.differences.items():
        label, digits = FIGURES[name]
        rows.append([label, number(found.a, digits), number(found.b, digits), _signed(found, digits)])
    caption = (
        f"Figures of the {comparison.part} part, {comparison.n:,} faces. In brackets: 95 % intervals of the "
        "difference on the same faces, by bootstrap over the clusters of duplicates. They hold what other "
        "faces would change, not what another seed of the training would. Of age "
        "errors less is better, of the others more."
    )
    note = interval_note([comparison.age_target])
    caption = caption if note is None else f"{caption} {note}"
    return Table(["", "A", "B", "B − A"], rows, caption)


def _signed(found: Difference, digits: int) -> str:
    if found.difference is None:
        return "–"
    text = f"{found.difference:+.{digits}f}"
    if found.low is None or found.high is None:
        return text
    return f"{text} ({found.low:+.{digits}f} to {found.high:+.{digits}f})"


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write compare.csv, compare.md and compare.html."""
    a, b = comparison.a, comparison.b
    page = Page(f"agegender: {b.path.name} against {a.path.name}")
    page.section("Difference", Facts([("A", str(a.path)), ("B", str(b.path))]), comparison_table(comparison))
    page.section("Settings that differ", _settings(a, b))
    rows = [{"figure": name, **vars(found)} for name, found in comparison.differences.items()]
    write_csv(pd.DataFrame(rows), folder / "compare.csv", "%.9g")
    write_text(folder / "compare.md", page.to_markdown(folder))
    write_text(folder / "compare.html", page.to_html())


def _settings(a: Run, b: Run) -> Block:
    of_a, of_b = differing_settings([a.config, b.config])
    rows = [[key, of_a.get(key, "–"), of_b.get(key, "–")] for key in dict.fromkeys([*of_a, *of_b])]
    return Table(["", "A", "B"], rows) if rows else Text("None.")
