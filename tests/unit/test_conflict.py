"""What a report says of the fight between the tasks, from a history's columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agegender.report.conflict import conflict_blocks
from agegender.report.page import Figure, Text


def _history(**changes: list[float | None]) -> pd.DataFrame:
    columns: dict[str, list[float | None]] = {
        "epoch": [1, 2, 3],
        "weight_age": [1, 1, 1],
        "weight_gender": [50, 50, 50],
        "train_age_loss": [400, 200, 100],
        "train_gender_loss": [0.7, 0.6, 0.5],
        "grad_samples": [3, 0, 1],  # an epoch may be too short for a look
        "shared_grad_age": [100, None, 300],
        "shared_grad_gender": [50, None, 50],
        "grad_cosine": [0.1, None, -0.3],
        "grad_conflicts": [0, None, 1],
        **changes,
    }
    return pd.DataFrame({**columns, "phase": "all"})


def test_means_are_over_the_looks(tmp_path: Path) -> None:
    text, figure = conflict_blocks(_history(), tmp_path)
    assert isinstance(text, Text)
    assert isinstance(figure, Figure)
    assert "looked at in 4 steps" in text.text
    assert "Age pulled 3 times as hard as gender" in text.text  # (3 * 100 + 300) / (3 * 50 + 50)
    assert "In 25% of them they were in conflict" in text.text
    assert "mean cosine was +0.00" in text.text
    assert figure.path.stat().st_size > 10_000


def test_a_task_that_does_not_pull(tmp_path: Path) -> None:
    text, _ = conflict_blocks(_history(shared_grad_gender=[0, None, 0]), tmp_path)
    assert isinstance(text, Text)
    assert "Only age pulled at them" in text.text


def test_nothing_without_a_look(tmp_path: Path) -> None:
    assert conflict_blocks(_history(grad_samples=[0, 0, 0]), tmp_path) == []
    assert conflict_blocks(_history().drop(columns="grad_samples"), tmp_path) == []
