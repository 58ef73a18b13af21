"""The table of all figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agegender.core.files import read_json
from agegender.evaluation.age_figures import AGE_FIGURES
from agegender.evaluation.gender_figures import GENDER_FIGURES
from agegender.evaluation.metrics import FIGURES as HEADLINE
from agegender.evaluation.metrics import INTERVAL_FIGURES, metrics
from agegender.report.all_figures import figure_blocks
from agegender.report.figures import FIGURES, cell
from agegender.report.page import Table
from agegender.report.run import write_report

from ..made import add_predictions, make_run, predictions


def test_every_figure_has_a_name() -> None:
    ranges = {f"age_{which}_{end}" for which in ("true", "pred") for end in ("p1", "p99")}
    assert set(FIGURES) == {*HEADLINE, *INTERVAL_FIGURES, *AGE_FIGURES, *GENDER_FIGURES, *ranges}
    assert len({label for label, _ in FIGURES.values()}) == len(FIGURES) == 25


def test_every_figure_is_defined_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    figures = metrics(predictions(30), bootstrap=0)
    named = {name for name in figures if not name.startswith("constant_")} | set(INTERVAL_FIGURES)
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("bootstrap", [0, 20])
def test_the_table_holds_each_figure_of_each_part(bootstrap: int) -> None:
    figures = {part: metrics(predictions(n), bootstrap=bootstrap) for part, n in (("val", 40), ("test", 60))}
    table, _, confusion = figure_blocks(figures)
    assert isinstance(table, Table)
    assert list(table.headers) == ["", "test (n = 60)", "val (n = 40)"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == [FIGURES[name][0] for name in FIGURES if name not in INTERVAL_FIGURES]
    for name, (label, digits) in FIGURES.items():
        for part, text in zip(("test", "val"), rows.get(label, ()), strict=False):
            assert text == cell(figures[part], name)
            assert text.startswith(f"{figures[part][name]:.{digits}f}")
            assert ("(" in text) == (bootstrap > 0 and not name.endswith(("_p1", "_p99")))
    assert ("95 % intervals" in table.caption) == (bootstrap > 0)
    assert isinstance(confusion, Table)
    counts = figures["test"]["gender_confusion"]
    assert confusion.rows[0] == ["female", str(counts["female"]["female"]), str(counts["female"]["male"])]
    assert confusion.rows[1] == ["male", str(counts["male"]["female"]), str(counts["male"]["male"])]


def test_what_no_face_has_is_left_out() -> None:
    table, _ = figure_blocks({"val": metrics(predictions(30).assign(gender=None), bootstrap=5), "test": None})
    assert isinstance(table, Table)
    labels = {row[0] for row in table.rows}
    assert {FIGURES[name][0] for name in AGE_FIGURES} <= labels
    assert not labels & {FIGURES[name][0] for name in (*GENDER_FIGURES, "gender_f1", "harmonic_mean")}
    assert list(table.headers) == ["", "val (n = 30)"]
    assert figure_blocks({"val": None, "test": None}) == []


def test_figures_below_zero_can_be_read() -> None:
    values = {"age_bias": -1.2, "age_bias_low": -2.0, "age_bias_high": -0.001}
    assert cell(values, "age_bias") == "-1.20 (-2.00 to 0.00)"
    assert (
        cell({"age_bias": 1.2, "age_bias_low": 1.0, "age_bias_high": 2.0}, "age_bias") == "1.20 (1.00–2.00)"
    )


def test_the_report_has_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "dataset.json").unlink()
    add_predictions(run, predictions(40).assign(split=np.resize(["val", "test"], 40)))
    write_report(run)
    text = (run / "report.md").read_text(encoding="utf-8")
    section = text[text.index("## All figures") :]
    assert f"| gender AUROC | {cell(read_json(run / 'metrics.json')['test'], 'gender_auroc')} |" in section
    assert "| labelled | predicted female | predicted male |" in section
    assert "All figures</h2>" in (run / "report.html").read_text(encoding="utf-8")
