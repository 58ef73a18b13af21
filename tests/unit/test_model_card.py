"""The model card, as the Hugging Face hub reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agegender.core.files import write_text
from agegender.evaluation.metrics import metrics
from agegender.report.model_card import FILE, write_model_card

from ..made import predictions

CONFIG = {
    "seed": 3, "model": {"name": "resnet34"}, "data": {"name": "utkface"}, "split": {"name": "dedup"},
    "age_head": {"name": "regression"}, "loss": {"lambda": 50.0},
}  # fmt: skip
DATASET = {
    "source": "utkface", "terms": "non-commercial research only (UTKFace)", "notes": ["A note."],
    "used": 1200, "parts": {"train": 1000, "test": 200}, "split": "dedup", "split_how": "by | clusters",
    "split_sha256": "ab" * 32,
}  # fmt: skip
GROUPS = (
    "axis,cell,n,age_rmse,age_rmse_low,age_rmse_high,age_mae,gender_accuracy\n"
    "all,all,200,8,7,9,6,0.9\ngender,female,101,8.25,7,9,6,0.875\n"
    "group,A,12,,,,,\nage band and group,x,90,1,,,1,1\n"
)


def _figures(**changes: Any) -> dict[str, Any]:
    return {"val": None, "test": metrics(predictions(), bootstrap=20) | changes}


def _card(folder: Path, dataset: dict[str, Any] | None = None, **changes: Any) -> str:
    write_model_card(folder, CONFIG, dataset or DATASET, _figures(**changes))
    return (folder / FILE).read_text(encoding="utf-8")


def _front(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_the_sections(tmp_path: Path) -> None:
    text = _card(tmp_path)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Model details", "Intended use", "Out of scope", "Factors", "Metrics", "Training data",
        "Evaluation data", "Ethical considerations and caveats", "How to use",
    ]  # fmt: skip
    values = _figures()["test"]
    assert f"| age RMSE (years) | {values['age_rmse']:.2f} ({values['age_rmse_low']:.2f}–" in text
    assert text.index("**Non-commercial use only.**") < text.index("## Model details")
    assert "drawn" not in text
    assert "A note." in text
    assert "Figures by group were not computed" in text


def test_the_front_matter(tmp_path: Path) -> None:
    front, values = _front(_card(tmp_path)), _figures()["test"]
    assert (front["license"], front["datasets"]) == ("other", ["utkface"])
    (result,) = front["model-index"][0]["results"]
    assert {each["type"]: each["value"] for each in result["metrics"]} == {
        "rmse": round(values["age_rmse"], 4), "mae": round(values["age_mae"], 4),
        "f1": round(values["gender_f1"], 4), "accuracy": round(values["gender_accuracy"], 4),
    }  # fmt: skip
    assert result["dataset"]["split"] == "test"


def test_the_hub_reads_it(tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    _card(tmp_path)
    card = hub.ModelCard.load(tmp_path / FILE)
    assert card.data.license == "other"
    assert card.data.model_name == f"resnet34-utkface-{tmp_path.name}"
    values = _figures()["test"]
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found["rmse"] == round(values["age_rmse"], 4)
    assert {result.dataset_split for result in card.data.eval_results} == {"test"}


def test_a_task_without_labels(tmp_path: Path) -> None:
    text = _card(tmp_path, age_rmse=None, age_mae=None, age_mae_low=None)
    metrics = _front(text)["model-index"][0]["results"][0]["metrics"]
    assert [each["type"] for each in metrics] == ["f1", "accuracy"]
    assert "| age MAE (years) | – |" in text


def test_groups_come_from_fairness(tmp_path: Path) -> None:
    write_text(tmp_path / "fairness.csv", GROUPS)
    text = _card(tmp_path)
    assert "| gender female | 101 | 8.25 (7.00–9.00) | 6.00 | 0.875 |" in text
    assert "| group A | 12 | too few | too few | too few |" in text
    assert "age band and group" not in text
    assert "| all" not in text


def test_drawn_faces(tmp_path: Path) -> None:
    text = _card(tmp_path, DATASET | {"source": "synthetic", "terms": "drawn by agegender, MIT"})
    assert "**Trained on drawn faces.**" in text
    assert "Non-commercial" not in text
    assert _front(text)["license"] == "mit"


def test_an_evaluation_and_a_run_without_figures_have_none(tmp_path: Path) -> None:
    write_model_card(tmp_path, CONFIG | {"run": "/run"}, DATASET, _figures())
    write_model_card(tmp_path, CONFIG, DATASET, {"val": None, "test": None})
    write_model_card(tmp_path, {}, DATASET, _figures())
    assert not (tmp_path / FILE).exists()
