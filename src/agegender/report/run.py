"""A run's report: a pure function of what is in its directory."""

from __future__ import annotations

import platform
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from agegender.core.files import read_json, write_json, write_text
from agegender.data.manifest import age_interval
from agegender.evaluation.metrics import collapse_warnings, metrics
from agegender.evaluation.table import read_predictions
from agegender.report import plots
from agegender.report.conflict import conflict_blocks
from agegender.report.data import data_blocks, split_blocks
from agegender.report.explanation import explanation_blocks
from agegender.report.figures import BOOTSTRAPPED, FIGURES, cell, judged_part, number
from agegender.report.files import read_columns, read_mapping
from agegender.report.page import Block, Code, Facts, Figure, Page, Table, Text
from agegender.report.profile import profile_blocks
from agegender.report.status import read_status

_PUBLISHED = (
    ("Model 1: scratch CNN, 3 convolutions, 128 px", "128.39*", "0.8784", "0"),
    ("Model 2: scratch CNN v2, lambda 50", "10.93", "0.8618", "0.732"),
    ("Model 3: ResNet34", "8.46", "0.9157", "0.805"),
)
_PUBLISHED_NOTE = (
    "* Probably a mean squared error: its root is 11.33, and answering 0 years to every face of UTKFace "
    "scores 38.8."
)
_INTENDED_USE = (
    "The model estimates apparent age and a binary gender label as annotated. It is no identity check and no "
    "proof of age. Groups in the data serve evaluation only."
)
_DRAWN = (
    "Faces of this run are drawn, not photographed. Its figures say nothing about people, and a model "
    "trained on drawn faces must not be used on photographs."
)
_SAME_FACES = (
    "There is no test part: the model was selected and scored on the same faces, which flatters the figures."
)
_INTERVALS = (
    "ages are labelled as intervals: their error is the distance to the interval, 0 inside, and so smaller "
    "than an error to an exact age."
)
_HISTORY = (
    "epoch", "phase", "step", "train_age_loss", "train_gender_loss", "val_age_loss", "val_gender_loss",
    "val_age_rmse", "val_gender_f1", "val_harmonic_mean", "weight_age", "weight_gender",
)  # fmt: skip
"""Columns of history.csv that the report shows."""
_SETTINGS = (
    "run", "ensemble", "predictions", "model.name", "attention.name", "model.sharing", "age_head.name",
    "uncertainty.name", "data.name", "split.name", "loss.lambda", "balancer.name", "seed",
)  # fmt: skip


def write_report(run_dir: Path) -> None:
    """Write metrics.json, plots, report.md and report.html from the other files of a run directory.

    Works on what there is: a killed run has its status, its settings and the curves so far.
    Raises UserError that names a damaged file.
    """
    config = read_mapping(run_dir / "config.yaml")
    dataset = read_mapping(run_dir / "dataset.json")
    (run_dir / "plots").mkdir(exist_ok=True)
    page = Page(f"agegender run {run_dir.resolve().name}")
    page.section("Result", *_status(read_status(run_dir)))
    if "synthetic" in {dataset.get("source"), *_mixed_sources(config)}:
        page.sections[0].blocks.append(Text(_DRAWN, warning=True))
    if (run_dir / "predictions.csv").exists():
        table = read_predictions(run_dir / "predictions.csv")
        figures = _metrics(table, config.get("evaluation", {}))
        write_json(run_dir / "metrics.json", figures)
        part = judged_part(figures)
        judged = table[table["split"] == part]
        page.sections[0].blocks += _headline(figures, judged, dataset)
        if len(judged):
            page.section(f"Predictions of the {part} part", *_prediction_plots(run_dir, judged))
            maps = explanation_blocks(run_dir, judged)
            if maps:
                page.section("Where the network looks", *maps)
    else:
        page.sections[0].blocks.append(Text("No predictions were written: there is nothing to judge yet."))
    page.sections[0].blocks.append(_settings(config))
    if (run_dir / "history.csv").exists():
        history = read_columns(run_dir / "history.csv", _HISTORY)
        if len(history):
            page.section("Training", *_training(run_dir, history, config), *profile_blocks(run_dir))
            conflict = conflict_blocks(history, run_dir / "plots")
            if conflict:
                page.section("The two tasks on the shared parameters", *conflict)
    page.section("Data", *data_blocks(run_dir, dataset, config))
    if dataset:
        page.section("Split", *split_blocks(dataset))
    page.section("Published figures: other data, other split", *_published())
    page.section("Intended use", Text(_INTENDED_USE))
    if config:
        page.section("Settings", Code(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), "yaml"))
    page.section("Environment", Text(_environment()))
    write_text(run_dir / "report.md", page.to_markdown(run_dir))
    write_text(run_dir / "report.html", page.to_html())


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


def _metrics(table: pd.DataFrame, options: dict[str, Any]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for part in ("val", "test"):
        rows = table[table["split"] == part]
        cap, resamples = options.get("rmse_cap", 30.0), options.get("bootstrap", 1000)
        figures[part] = metrics(rows, cap, resamples) if len(rows) else None
    return figures


def _status(status: dict[str, Any]) -> list[Block]:
    if status["status"] == "missing":
        return [Text("This folder holds no status.json: what became of the run is unknown.", warning=True)]
    text = f"Status: {status['status']}"
    if status["step"] is not None:
        text += f", step {status['step']}"
    if status["seconds"] is not None:
        text += f" after {timedelta(seconds=round(status['seconds']))}"
    if status.get("resumed_from_step") is not None:
        text += f", resumed from step {status['resumed_from_step']}"
    error = f". {status['error']}" if status["error"] else "."
    return [Text(text + error, warning=status["status"] != "ok")]


def _mixed_sources(config: dict[str, Any]) -> set[str]:
    """The names of a mixed set's sources."""
    return {source["name"] for source in config.get("data", {}).get("sources", {}).values()}


def _settings(config: dict[str, Any]) -> Facts:
    """The few settings that tell runs apart."""
    found = []
    for key in _SETTINGS:
        value: Any = config
        for name in key.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            found.append((key.removesuffix(".name"), str(value)))
    return Facts(found)


def _headline(figures: dict[str, Any], judged: pd.DataFrame, dataset: dict[str, Any]) -> list[Block]:
    part = judged_part(figures)
    values = figures[part]
    if values is None:
        return [
            Text("predictions.csv has neither test nor val rows: there is nothing to judge.", warning=True)
        ]
    parts = [name for name in ("test", "val") if figures[name]]
    headers = ["", *(f"{name} (n = {figures[name]['n']:,})" for name in parts), f"constant, {part}"]
    rows = [
        [
            label,
            *(cell(figures[name], key) for name in parts),
            number(values[f"constant_{key}"], digits),
        ]
        for key, (label, digits) in FIGURES.items()
        if f"constant_{key}" in values
    ]
    caption = (
        f"Constant: a predictor that answers the {part} faces' own mean age (for the MAE their median) and "
        "commonest gender."
    )
    if "age_rmse_low" in values:
        caption = f"{BOOTSTRAPPED} {caption}"
    blocks: list[Block] = [Table(headers, rows, caption)]
    if values["age_target"] != "exact":
        which = "All" if values["age_target"] == "interval" else "Some"
        blocks.append(Text(f"{which} {_INTERVALS}", warning=True))
    if min(values["n_age"], values["n_gender"]) < values["n"]:
        blocks.append(
            Text(f"Of the {part} faces {values['n_age']:,} have an age, {values['n_gender']:,} a gender.")
        )
    if part == "val" and dataset.get("split"):
        blocks.append(Text(_SAME_FACES, warning=True))
    return [*blocks, *(Text(text, warning=True) for text in collapse_warnings(judged))]


def _prediction_plots(run_dir: Path, judged: pd.DataFrame) -> list[Block]:
    blocks: list[Block] = []
    ages = age_interval(judged)
    if ages["low"].notna().any():
        path = run_dir / "plots" / "age_scatter.png"
        plots.age_scatter(judged, path)
        alt = "Predicted age against labelled age, with the diagonal of no error"
        where = "on the dashed line"
        if (ages["low"] < ages["high"]).any():
            where += ", and in the grey boxes of intervals (each at its midpoint),"
        blocks.append(Figure(path, f"Predicted against labelled age; {where} there is no error.", alt))
        path = run_dir / "plots" / "error_by_age.png"
        plots.error_by_age(judged, path)
        alt = "Bars of the mean absolute error and points of the bias for each band of labelled age"
        blocks.append(Figure(path, "Age error by labelled age; n faces in each band.", alt))
    if judged["gender"].notna().any():
        path = run_dir / "plots" / "confusion_matrix.png"
        plots.confusion_matrix(judged, path)
        alt = "Confusion matrix of labelled and predicted gender"
        blocks.append(Figure(path, "Faces by labelled and predicted gender, with the share of the row.", alt))
    return blocks


def _training(run_dir: Path, history: pd.DataFrame, config: dict[str, Any]) -> list[Block]:
    folder = run_dir / "plots"
    last = history.iloc[-1]
    text = f"Epochs: {len(history)}, steps: {int(last['step']):,}."
    monitor = config.get("trainer", {}).get("monitor", "harmonic_mean")
    watched = history[f"val_{monitor}"].dropna()
    epochs = history["epoch"][watched.index]
    if len(watched):
        best = watched.argmin() if monitor == "age_rmse" else watched.argmax()
        text += f" Best val {monitor}: {watched.iloc[best]:.4g} in epoch {epochs.iloc[best]}."
    age, gender = (last[f"weight_{task}"] * last[f"train_{task}_loss"] for task in ("age", "gender"))
    if age + gender > 0:
        text += (
            f" In the last epoch the losses were weighted {last['weight_age']:g} (age) and "
            f"{last['weight_gender']:g} (gender): age made up {age / (age + gender):.0%} of their sum."
        )
    blocks: list[Block] = [Text(text)]
    for task in ("age", "gender"):
        if history[[f"train_{task}_loss", f"val_{task}_loss"]].notna().any(axis=None):
            path = folder / f"{task}_loss.png"
            plots.task_loss(history, task, path)
            unit = (
                "in the head's own unit (regression: years squared)"
                if task == "age"
                else "cross-entropy, nats"
            )
            alt = f"Training and validation loss of {task} by epoch"
            blocks.append(Figure(path, f"{task.capitalize()} loss by epoch, {unit}.", alt))
    if history["val_age_rmse"].notna().any():
        plots.val_age_rmse(history, folder / "val_age_rmse.png")
        alt = "Validation age RMSE by epoch"
        blocks.append(Figure(folder / "val_age_rmse.png", "Age RMSE of the val part by epoch.", alt))
    if history["val_gender_f1"].notna().any():
        plots.val_gender_f1(history, folder / "val_gender_f1.png")
        alt = "Validation gender F1 and harmonic mean by epoch"
        caption = "Gender F1 and harmonic mean of the val part by epoch."
        blocks.append(Figure(folder / "val_gender_f1.png", caption, alt))
    return blocks


def _published() -> list[Block]:
    headers = ("", "age RMSE (years)", "gender macro F1", "harmonic mean")
    return [
        Table(headers, _PUBLISHED, _PUBLISHED_NOTE),
        Text("For orientation only: these models were trained on other data and scored on another split."),
    ]


def _environment() -> str:
    found = []
    for name in ("agegender", "torch", "torchvision", "numpy", "pillow"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    system = f"{platform.system()} {platform.machine()}"
    return f"This report was written by Python {platform.python_version()} on {system}: {', '.join(found)}."
