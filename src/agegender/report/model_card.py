"""A model card in the layout of the Hugging Face hub: who the model is for, and how it was judged.

Mitchell et al., Model cards for model reporting, FAT* 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from agegender.core.files import write_text
from agegender.report.data import is_drawn
from agegender.report.figures import FIGURES, cell, judged_part, number
from agegender.report.files import read_columns
from agegender.report.settings import facts, title
from agegender.report.template import text_template

FILE = "model_card.md"

_HUB_METRICS = {"age_rmse": "rmse", "age_mae": "mae", "gender_f1": "f1", "gender_accuracy": "accuracy"}
"""Our figures, as the hub calls their kind."""
_AXES = ("gender", "group", "age band")
"""Of fairness.csv, whose pairs and further columns are too many for a card."""
_BY_GROUP = ("age_rmse", "age_mae", "gender_accuracy")


def write_model_card(
    run_dir: Path, config: dict[str, Any], dataset: dict[str, Any], figures: dict[str, Any]
) -> None:
    """Write model_card.md; `figures` are those of metrics.json. An evaluation's directory has no card.

    Figures of groups come from fairness.csv, where the run has one.
    """
    part = judged_part(figures)
    values = figures[part]
    is_evaluation = any(key in config for key in ("run", "ensemble", "predictions"))
    if is_evaluation or not config or not dataset or values is None:
        return
    front = _front(run_dir, config, dataset, part, values)
    text = text_template("model_card.md").render(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
        title=title(config, run_dir.resolve().name),
        facts=facts(config),
        dataset=dataset,
        part=part,
        values=values,
        figures=[(label, cell(values, key), number(values[f"constant_{key}"], digits))
                 for key, (label, digits) in FIGURES.items() if f"constant_{key}" in values],
        groups=_groups(run_dir / "fairness.csv"),
        has_intervals="age_rmse_low" in values,
        drawn=is_drawn(config, dataset),
        non_commercial="non-commercial" in dataset["terms"].lower(),
    )  # fmt: skip
    write_text(run_dir / FILE, text)


def _front(
    run_dir: Path, config: dict[str, Any], dataset: dict[str, Any], part: str, values: dict[str, Any]
) -> dict[str, Any]:
    """The YAML part, which the hub reads."""
    licence = {"license": "other", "license_name": "terms-of-the-training-data"}
    if dataset["source"] == "synthetic":
        licence = {"license": "mit"}
    metrics = [
        {"type": kind, "name": FIGURES[name][0], "value": round(values[name], 4)}
        for name, kind in _HUB_METRICS.items()
        if values[name] is not None
    ]
    where = {"type": dataset["source"], "name": dataset["source"], "split": part}
    task = {"type": "image-classification", "name": "Age and gender estimation"}
    name = f"{config['model']['name']}-{dataset['source']}-{run_dir.resolve().name}"
    return {
        **licence,
        "library_name": "agegender",
        "tags": ["age-estimation", "gender-classification", "face", "multi-task-learning", "pytorch"],
        "datasets": sorted(_sources(config, dataset)),
        "metrics": list(_HUB_METRICS.values()),
        "model-index": [{"name": name, "results": [{"task": task, "dataset": where, "metrics": metrics}]}],
    }


def _sources(config: dict[str, Any], dataset: dict[str, Any]) -> set[str]:
    sources = config.get("data", {}).get("sources", {}).values()
    return {source["name"] for source in sources} or {dataset["source"]}


def _groups(path: Path) -> list[tuple[str, str, list[str]]]:
    """(cell, faces, figures) of every group that fairness.csv judges; "too few" where it does not."""
    if not path.exists():
        return []
    table = read_columns(path, ["axis", "cell", "n"])
    table = table[table["axis"].isin(_AXES)].astype(object)
    rows: list[dict[str, Any]] = table.where(table.notna(), None).to_dict("records")  # type: ignore[assignment]
    return [
        (
            f"{row['axis']} {row['cell']}",
            f"{row['n']:,}",
            ["too few" if row.get(name) is None else cell(row, name) for name in _BY_GROUP],
        )
        for row in rows
    ]
