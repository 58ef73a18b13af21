"""A run's report: a pure function of what is in its directory."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from agegender.core.files import read_json, read_yaml, write_json, write_text
from agegender.evaluation.metrics import collapse_warnings, metrics
from agegender.evaluation.table import read_predictions
from agegender.report import plots
from agegender.report.page import Block, Code, Figure, Page, Table, Text
from agegender.report.status import read_status

_NAMES = {
    "age_rmse": ("age RMSE (years)", 2),
    "age_mae": ("age MAE (years)", 2),
    "age_score": ("age score", 3),
    "gender_f1": ("gender macro F1", 4),
    "gender_accuracy": ("gender accuracy", 4),
    "harmonic_mean": ("harmonic mean", 3),
}

_PUBLISHED = (
    ("Model 1: scratch CNN, 3 convolutions, 128 px", "128.39 (see below)", "0.8784", "0"),
    ("Model 2: scratch CNN v2, 4 convolutions, lambda 50", "10.93", "0.8618", "0.732"),
    ("Model 3: ResNet34, ImageNet weights, two phases", "8.46", "0.9157", "0.805"),
)
_PUBLISHED_NOTE = (
    "Other data and another split: orientation, not a comparison. 128.39 is probably a mean squared error: "
    "its root is 11.33, and answering 0 years to every face of UTKFace scores 38.8."
)
_INTENDED_USE = (
    "The model estimates apparent age and a binary gender label as annotated. It is no identity check and no "
    "proof of age. Groups in the data serve evaluation only."
)


def write_report(run_dir: Path) -> None:
    """Write metrics.json, plots, report.md and report.html from the other files of a run directory.

    Works on what there is: a killed run has its status, its settings and the curves so far.
    """
    page = Page(f"agegender run {run_dir.resolve().name}")
    status = read_status(run_dir)
    config = read_yaml(run_dir / "config.yaml") if (run_dir / "config.yaml").exists() else {}
    dataset = read_json(run_dir / "dataset.json") if (run_dir / "dataset.json").exists() else {}
    page.section("Result", *_status(status), *_warnings(dataset))
    if (run_dir / "predictions.csv").exists():
        table = read_predictions(run_dir / "predictions.csv")
        figures = _metrics(table, config.get("evaluation", {}))
        write_json(run_dir / "metrics.json", figures)
        page.sections[0].blocks += _headline(figures, table, dataset)
        page.section("Predictions", *_prediction_plots(run_dir, table, figures))
    if (run_dir / "history.csv").exists():
        history = pd.read_csv(run_dir / "history.csv")
        page.section("Training", *_training(run_dir, history, config))
    if dataset:
        page.section("Data", *_data(dataset))
    headers = ("published", "age RMSE", "gender macro F1", "harmonic mean")
    page.section("Published work, as orientation", Table(headers, _PUBLISHED), Text(_PUBLISHED_NOTE))
    page.section("Intended use", Text(_INTENDED_USE))
    page.section("Settings", Code(yaml.safe_dump(config, sort_keys=False, allow_unicode=True)))
    page.section("Environment", Text(_environment()))
    write_text(run_dir / "report.md", page.to_markdown(run_dir))
    write_text(run_dir / "report.html", page.to_html())


def judged_part(figures: dict[str, Any]) -> str:
    """The part whose figures stand for the run: test, or val where the split has no test part."""
    return "test" if figures.get("test") else "val"


def summary_line(run_dir: Path) -> str:
    """The run's figures in one line, for the console."""
    figures = read_json(run_dir / "metrics.json")
    part = judged_part(figures)
    values = figures[part]
    return (
        f"{part}, {values['n']} faces: age RMSE {_cell(values, 'age_rmse')} (constant predictor "
        f"{_number(values['constant_age_rmse'], 2)}), gender macro F1 {_cell(values, 'gender_f1')} "
        f"(constant {_number(values['constant_gender_f1'], 4)}), "
        f"harmonic mean {_cell(values, 'harmonic_mean')}"
    )


def _metrics(table: pd.DataFrame, options: dict[str, Any]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for part in ("val", "test"):
        rows = table[table["split"] == part]
        cap, resamples = options.get("rmse_cap", 30.0), options.get("bootstrap", 1000)
        figures[part] = metrics(rows, cap, resamples) if len(rows) else None
    return figures


def _status(status: dict[str, Any]) -> list[Block]:
    if status["status"] == "ok":
        return []
    error = f": {status['error']}" if status["error"] else ""
    return [Text(f"This run is {status['status']} (step {status['step']}){error}.", warning=True)]


def _warnings(dataset: dict[str, Any]) -> list[Block]:
    if dataset.get("source") != "synthetic":
        return []
    return [
        Text(
            "The faces of this run are drawn, not photographed: the model must not be used on photographs, "
            "where it is no better than chance.",
            warning=True,
        )
    ]


def _headline(figures: dict[str, Any], table: pd.DataFrame, dataset: dict[str, Any]) -> list[Block]:
    part = judged_part(figures)
    parts = [name for name in ("test", "val") if figures[name]]
    blocks: list[Block] = [
        Table(
            ["", *(f"{name} (n = {figures[name]['n']})" for name in parts), f"constant predictor on {part}"],
            [
                [
                    label,
                    *(_cell(figures[name], key) for name in parts),
                    _number(figures[part][f"constant_{key}"], digits),
                ]
                for key, (label, digits) in _NAMES.items()
            ],
            "In brackets 95 % bootstrap intervals over duplicate clusters. The constant predictor answers the "
            "judged faces' own mean age (for MAE the median) and commonest gender.",
        )
    ]
    if figures[part]["age_target"] != "exact":
        blocks.append(
            Text("Ages are labelled as intervals: errors are to the interval's midpoint.", warning=True)
        )
    if part == "val" and dataset.get("split"):
        blocks.append(
            Text(
                "There is no test part: the model was selected and scored on the same faces, "
                "which flatters it.",
                warning=True,
            )
        )
    blocks += [Text(text, warning=True) for text in collapse_warnings(table[table["split"] == part])]
    return blocks


def _prediction_plots(run_dir: Path, table: pd.DataFrame, figures: dict[str, Any]) -> list[Block]:
    part = judged_part(figures)
    rows = table[table["split"] == part]
    folder = run_dir / "plots"
    folder.mkdir(exist_ok=True)
    blocks: list[Block] = []
    if figures[part]["n_age"]:
        plots.age_scatter(rows, folder / "age_scatter.png")
        plots.error_by_age(rows, folder / "error_by_age.png")
        blocks += [
            Figure(folder / "age_scatter.png", f"Predicted against true age, {part} part."),
            Figure(folder / "error_by_age.png", f"Age error by true age, {part} part."),
        ]
    if figures[part]["n_gender"]:
        plots.confusion_matrix(rows, folder / "confusion_matrix.png")
        blocks.append(
            Figure(folder / "confusion_matrix.png", f"Labelled against predicted gender, {part} part.")
        )
    return blocks


def _training(run_dir: Path, history: pd.DataFrame, config: dict[str, Any]) -> list[Block]:
    folder = run_dir / "plots"
    folder.mkdir(exist_ok=True)
    plots.learning_curves(history, folder / "learning_curves.png")
    monitor = config.get("trainer", {}).get("monitor", "harmonic_mean")
    values = history[f"val_{monitor}"]
    best = int(values.argmin() if monitor == "age_rmse" else values.argmax())
    last = history.iloc[-1]
    return [
        Text(
            f"{len(history)} epochs, {int(last['step'])} steps, {history['seconds'].sum():.0f} s; the best "
            f"epoch by val {monitor} is {best + 1}. In the last epoch the gender loss was weighted "
            f"{last['weight_gender']:g} against {last['weight_age']:g} for age: of the weighted training "
            f"loss, age made up {_age_share(last):.0%}."
        ),
        Figure(folder / "learning_curves.png", "Loss of each task and validation figures over the epochs."),
    ]


def _age_share(row: pd.Series[Any]) -> float:
    age = row["weight_age"] * row["train_age_loss"]
    return float(age / (age + row["weight_gender"] * row["train_gender_loss"]))


def _data(dataset: dict[str, Any]) -> list[Block]:
    rejected = ", ".join(f"{n} {reason}" for reason, n in dataset["rejected"].items()) or "none"
    parts = ", ".join(f"{name} {n}" for name, n in dataset["parts"].items())
    facts = [
        ("source", dataset["source"]),
        ("terms", dataset["terms"]),
        ("rows listed", f"{dataset['rows']:,}"),
        ("faces used", f"{dataset['used']:,} ({parts})"),
        ("rejected", rejected),
        ("clusters of duplicates or one identity", str(dataset["clusters"])),
        ("split", f"{dataset['split'] or 'none: all faces are test'}"),
        ("sha256 of the assignment", dataset["split_sha256"]),
    ]
    if dataset["age_mean"] is not None:
        facts.append(
            ("age", f"mean {dataset['age_mean']:.1f}, standard deviation {dataset['age_std']:.1f} years")
        )
    return [Table(("", "value"), facts), *(Text(note) for note in dataset["notes"])]


def _cell(values: dict[str, Any], key: str) -> str:
    digits = _NAMES[key][1]
    text = _number(values[key], digits)
    low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
    return text if low is None else f"{text} [{_number(low, digits)}, {_number(high, digits)}]"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _environment() -> str:
    packages = ("agegender", "torch", "torchvision", "numpy", "pillow")
    found = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}; {found}"
