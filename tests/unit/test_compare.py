"""Two runs compared: what is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.core.errors import UserError
from agegender.core.files import write_json
from agegender.evaluation.table import read_predictions
from agegender.report.compare import compare_runs, comparison_table, write_comparison

from ..made import add_predictions, make_run, make_sweep, predictions


def _runs(folder: Path) -> tuple[Path, Path]:
    """B misses ages by more than A, and by luck says the genders as A does."""
    a, b = (
        make_run(folder / name, config={"seed": seed, "balancer": {"name": "fixed"}})
        for seed, name in enumerate("ab")
    )
    add_predictions(a, predictions(seed=1))
    add_predictions(b, predictions(seed=1, spread=16))
    return a, b


def test_the_difference_and_its_files(tmp_path: Path) -> None:
    a, b = _runs(tmp_path)
    comparison = compare_runs(a, b)
    assert (comparison.part, comparison.n) == ("test", 200)
    mae = comparison.differences["age_mae"]
    errors = [np.abs(table["age_pred"] - table["age"]) for table in map(_read, (a, b))]
    assert mae.difference == pytest.approx((errors[1] - errors[0]).mean())
    assert mae.low is not None
    assert mae.low > 0
    write_comparison(comparison, tmp_path)
    table = pd.read_csv(tmp_path / "compare.csv")
    assert list(table.columns) == ["figure", "a", "b", "difference", "low", "high"]
    names = ["age_rmse", "age_mae", "gender_f1", "gender_accuracy", "harmonic_mean"]
    assert table["figure"].tolist() == names
    assert table["difference"][1] == pytest.approx(mae.difference)
    text = (tmp_path / "compare.md").read_text(encoding="utf-8")
    assert f"| {mae.difference:+.2f} ({mae.low:+.2f} to {mae.high:+.2f}) |" in text
    assert "| gender accuracy |" in text
    assert "+0.000 (+0.000 to +0.000)" in text
    assert "| seed | 0 | 1 |" in text
    assert "200 faces" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def _read(run: Path) -> pd.DataFrame:
    return read_predictions(run / "predictions.csv")


def test_b_minus_a_is_minus_a_minus_b(tmp_path: Path) -> None:
    a, b = _runs(tmp_path)
    there, back = compare_runs(a, b).differences, compare_runs(b, a).differences
    for name, found in there.items():
        assert found.difference is not None
        assert found.low is not None
        assert back[name].difference == pytest.approx(-found.difference)
        assert back[name].high == pytest.approx(-found.low)


def test_without_a_test_part_val_is_compared(tmp_path: Path) -> None:
    a, b = _runs(tmp_path)
    for run, seed in ((a, 1), (b, 2)):
        table = predictions(seed=seed)
        add_predictions(run, table.assign(split=np.where(table.index < 50, "val", "cal")))
    comparison = compare_runs(a, b)
    assert (comparison.part, comparison.n) == ("val", 50)


@pytest.mark.parametrize(("target", "words"), [("interval", "All ages are"), ("mixed", "Some ages are")])
def test_ages_that_are_intervals_are_named(target: str, words: str, tmp_path: Path) -> None:
    a, b = _runs(tmp_path)
    caption = comparison_table(compare_runs(a, b)).caption
    assert "intervals:" not in caption
    write_json(a / "metrics.json", {"val": None, "test": {"age_target": target}})
    assert f"{words} labelled as intervals: their error is" in comparison_table(compare_runs(a, b)).caption


def test_the_cap_of_the_runs_counts(tmp_path: Path) -> None:
    a, b = (make_run(tmp_path / name, config={"evaluation": {"rmse_cap": 5.0}}) for name in "ab")
    add_predictions(a, predictions(seed=1))
    add_predictions(b, predictions(seed=2))
    assert compare_runs(a, b).differences["harmonic_mean"].a == 0  # its RMSE is 8


def test_one_task_alone(tmp_path: Path) -> None:
    a, b = _runs(tmp_path)
    for run, seed in ((a, 1), (b, 2)):
        add_predictions(run, predictions(seed=seed).assign(gender=None))
    rows = {row[0]: row[1:] for row in comparison_table(compare_runs(a, b)).rows}
    assert rows["gender macro F1"] == ["–", "–", "–"]
    assert "(" in rows["age MAE (years)"][2]


def _another_split(run: Path) -> None:
    (run / "dataset.json").write_text('{"split_sha256": "bb22"}', encoding="utf-8")


def _no_predictions(run: Path) -> None:
    (run / "predictions.csv").unlink()


def _a_sweep(run: Path) -> None:
    make_sweep(run, [["seed=1"]])


def _no_run(run: Path) -> None:
    (run / "status.json").unlink()


def _other_faces(run: Path) -> None:
    add_predictions(run, predictions(n=100))


def _damaged(run: Path) -> None:
    (run / "predictions.csv").write_text("hello\n1\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_another_split, "aa11 in .*a, bb22 in .*b"),
        (_no_predictions, r"b has no predictions.csv to compare \(its status: ok\)"),
        (_a_sweep, "two runs; .*b is a sweep"),
        (_no_run, "b is no run"),
        (_other_faces, "cannot be compared: .* 100 ids are on one side only"),
        (_damaged, "predictions.csv: no column id"),
    ],
)
def test_what_is_refused(spoil: object, message: str, tmp_path: Path) -> None:
    a, b = _runs(tmp_path)
    assert callable(spoil)
    spoil(b)
    with pytest.raises(UserError, match=message):
        compare_runs(a, b)
