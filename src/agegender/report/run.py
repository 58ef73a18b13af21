"""A run's report: a pure function of what is in its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from agegender.core.files import read_json, write_json, write_text
from agegender.evaluation.metrics import metrics
from agegender.evaluation.table import read_predictions
from agegender.evaluation.uncertainty import Evidence, uncertainty_metrics
from agegender.report.age_gate import age_gate_blocks
from agegender.report.all_figures import figure_blocks
from agegender.report.conflict import conflict_blocks
from agegender.report.curves import COLUMNS, curve_blocks
from agegender.report.data import data_blocks, is_drawn, split_blocks
from agegender.report.explanation import explanation_blocks
from agegender.report.fairness import fairness_blocks
from agegender.report.figures import cell, judged_part, number
from agegender.report.files import read_columns, read_mapping
from agegender.report.label_noise import label_noise_blocks
from agegender.report.model_card import write_model_card
from agegender.report.page import Block, Page, Text
from agegender.report.predictions import error_blocks, prediction_blocks
from agegender.report.profile import profile_blocks
from agegender.report.published import published_blocks
from agegender.report.result import result_blocks
from agegender.report.settings import environment, facts, settings_blocks, status_block, title
from agegender.report.status import read_status
from agegender.report.uncertainty import uncertainty_blocks
from agegender.report.worst import worst_blocks

_INTENDED_USE = (
    "The model estimates apparent age and a binary gender label as annotated. It is no identity check and no "
    "proof of age. Groups in the data serve evaluation only."
)
_DRAWN = (
    "Faces of this run are drawn, not photographed. Its figures say nothing about people, and a model "
    "trained on drawn faces must not be used on photographs."
)


def write_report(run_dir: Path) -> None:
    """Write metrics.json, plots, report.md, report.html and model_card.md from a run directory's other files.

    Works on what there is: a killed run has its status, its settings and the curves so far.
    Raises UserError that names a damaged file.
    """
    config = read_mapping(run_dir / "config.yaml")
    dataset = read_mapping(run_dir / "dataset.json")
    (run_dir / "plots").mkdir(exist_ok=True)
    page, figures = _page(run_dir, config, dataset)
    write_text(run_dir / "report.md", page.to_markdown(run_dir))
    write_text(run_dir / "report.html", page.to_html())
    if figures is not None:
        write_model_card(run_dir, config, dataset, figures)


def _page(
    run_dir: Path, config: dict[str, Any], dataset: dict[str, Any]
) -> tuple[Page, dict[str, Any] | None]:
    """The sections in a reader's order; those without content are left out. And the figures, if any."""
    status, name, plots = read_status(run_dir), run_dir.resolve().name, run_dir / "plots"
    badge = (status["status"], status["status"] == "ok")
    page = Page(title(config, name), f"agegender run {name}", badge, facts(config))
    result = page.section("Result", status_block(status)).blocks
    if is_drawn(config, dataset):
        result.append(Text(_DRAWN, warning=True))
    history, figures = _history(run_dir), None
    if (run_dir / "predictions.csv").exists():
        table = read_predictions(run_dir / "predictions.csv")
        resamples = config.get("evaluation", {}).get("bootstrap", 1000)
        evidence = Evidence.read(run_dir, table, config.get("uncertainty", {}).get("level"))
        figures = _metrics(table, evidence, config.get("evaluation", {}))
        write_json(run_dir / "metrics.json", figures)
        part = judged_part(figures)
        judged = table[table["split"] == part]
        result += result_blocks(figures, judged, dataset)
        if len(judged):
            _add(page, f"Predictions of the {part} part", prediction_blocks(plots, judged))
            _add(page, "Error by age", error_blocks(plots, judged))
            _add(page, "Uncertainty", uncertainty_blocks(run_dir, judged, evidence, figures[part], resamples))
            _add(page, "Fairness", fairness_blocks(run_dir, judged, config.get("evaluation", {})))
            _add(page, "Age gate", age_gate_blocks(run_dir, judged, config.get("evaluation", {})))
            _add(page, "Largest errors", worst_blocks(run_dir, judged))
            _add(page, "Where the network looks", explanation_blocks(run_dir, judged))
            _add(page, "All figures", figure_blocks(figures))
    else:
        result.append(Text("No predictions were written: there is nothing to judge yet."))
    if history is not None:
        _add(page, "The two tasks on the shared parameters", conflict_blocks(history, plots))
        _add(page, "Training", [*curve_blocks(plots, history, config), *profile_blocks(run_dir)])
    _add(page, "Data", data_blocks(run_dir, dataset, config))
    if dataset:
        _add(page, "Split", split_blocks(dataset))
        _add(page, "What the labels leave open", label_noise_blocks(run_dir))
    _add(page, "Published figures: other data, other split", published_blocks())
    _add(page, "Settings", settings_blocks(config) if config else [])
    page.section("Environment", Text(environment()))
    page.section("Intended use", Text(_INTENDED_USE))
    return page, figures


def _add(page: Page, title: str, blocks: list[Block]) -> None:
    if blocks:
        page.section(title, *blocks)


def summary_line(run_dir: Path) -> str:
    """The run's figures in one line, for the console."""
    figures = read_json(run_dir / "metrics.json")
    part = judged_part(figures)
    values = figures[part]
    if values is None:
        return "no face to judge: predictions.csv has neither test nor val rows"
    return (
        f"{part}, {values['n']} faces: age RMSE {cell(values, 'age_rmse')} (constant predictor "
        f"{number(values['constant_age_rmse'], 2)}), gender macro F1 {cell(values, 'gender_f1')} "
        f"(constant {number(values['constant_gender_f1'], 3)}), "
        f"harmonic mean {cell(values, 'harmonic_mean')}"
    )


def _history(run_dir: Path) -> pd.DataFrame | None:
    """The epochs so far; None before the first one has ended."""
    if not (run_dir / "history.csv").exists():
        return None
    history = read_columns(run_dir / "history.csv", COLUMNS)
    return history if len(history) else None


def _metrics(table: pd.DataFrame, evidence: Evidence, options: dict[str, Any]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for part in ("val", "test"):
        rows = table[table["split"] == part]
        cap, resamples = options.get("rmse_cap", 30.0), options.get("bootstrap", 1000)
        figures[part] = (
            metrics(rows, cap, resamples) | uncertainty_metrics(rows, evidence, resamples)
            if len(rows)
            else None
        )
    return figures
