"""What the report shows of fairness and of the age gate, and the files beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agegender.core.errors import UserError
from agegender.core.files import read_json
from agegender.core.types import GENDERS
from agegender.evaluation.table import COLUMNS
from agegender.report.age_gate import age_gate_blocks
from agegender.report.fairness import fairness_blocks
from agegender.report.page import Block, Page

OPTIONS: dict[str, Any] = {"bootstrap": 30}


def _table(n: int = 400, groups: int = 3) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    age, gender = draw.integers(1, 60, n).astype(float), draw.choice(GENDERS, n)
    group = np.array([f"g{i % groups}" for i in range(n)])
    table = pd.DataFrame({"id": np.arange(n), "split": "test", "age": age, "gender": gender, "group": group})
    table["age_pred"] = age + draw.normal(0, 4, n) + 12 * (group == "g1")
    table["gender_pred"] = np.where(draw.random(n) < 0.9, gender, "male")
    return table.reindex(columns=list(COLUMNS))


def _text(blocks: list[Block], folder: Path) -> str:
    page = Page("page")
    page.section("section", *blocks)
    page.to_html()
    return page.to_markdown(folder)


def _line(text: str, start: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return line


def test_tables_and_files(tmp_path: Path) -> None:
    text = _text(fairness_blocks(tmp_path, _table(), OPTIONS), tmp_path)
    assert "serve evaluation only. A small gap is no proof of fairness" in text
    worst = _line(text, "group: age RMSE (years)").split("|")[2]
    assert worst.strip().endswith("g1")
    cells = pd.read_csv(tmp_path / "fairness.csv")
    first = cells.iloc[0]
    assert f"| all faces | 400 | {first['age_rmse']:.2f} ({first['age_rmse_low']:.2f}–" in text
    found = read_json(tmp_path / "fairness.json")
    assert (found["part"], found["min_group"], found["notes"]) == ("test", 30, [])
    gap = next(gap for gap in found["gaps"] if (gap["axis"], gap["figure"]) == ("group", "age_rmse"))
    assert f"{gap['gap']:.2f} ({gap['gap_low']:.2f}–{gap['gap_high']:.2f})" in text
    assert _line(text, "age band: 0–2").count("too few") == 6
    assert _line(text, "gender: female").count("| – |") == 1
    assert (tmp_path / "plots" / "fairness.png").stat().st_size > 1000
    assert "coverage" not in text


def test_coverage_is_shown_where_there_are_ranges(tmp_path: Path) -> None:
    table = _table()
    table = table.assign(age_low=table["age_pred"] - 5, age_high=table["age_pred"] + 5)
    text = _text(fairness_blocks(tmp_path, table, OPTIONS), tmp_path)
    assert "group: coverage" in text
    assert pd.read_csv(tmp_path / "fairness.csv")["age_coverage"].notna().any()


@pytest.mark.parametrize("bootstrap", [0, 30])
def test_of_many_groups_the_worst_are_shown(bootstrap: int, tmp_path: Path) -> None:
    table = _table(60 * 40, groups=60)
    text = _text(fairness_blocks(tmp_path, table, {"bootstrap": bootstrap, "min_group": 20}), tmp_path)
    assert len(re.findall(r"\n\| group: g\d", text)) == 12
    assert "\n| group: g1 |" in text
    assert len(pd.read_csv(tmp_path / "fairness.csv").query("axis == 'group'")) == 60
    assert "nan" not in text


def test_nothing_to_compare(tmp_path: Path) -> None:
    text = _text(fairness_blocks(tmp_path, _table(40), OPTIONS | {"min_group": 100}), tmp_path)
    assert "There are no two cells of at least 100 faces to compare." in text
    assert not (tmp_path / "plots").exists()
    assert read_json(tmp_path / "fairness.json")["gaps"] == []


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    table = _table().assign(gender=None, group="one")
    text = _text(fairness_blocks(tmp_path, table, OPTIONS), tmp_path)
    assert "No face has a known gender. All faces have the same group (one)" in text
    assert "gender accuracy" not in text
    assert "age band: age RMSE (years)" in text


def test_further_columns(tmp_path: Path) -> None:
    table = _table().assign(light=np.resize(["day", "night"], 400))
    text = _text(fairness_blocks(tmp_path, table, OPTIONS | {"by": ["light"]}), tmp_path)
    assert "| light: age RMSE (years) |" in text
    assert "| light: night | 200 |" in text
    with pytest.raises(UserError, match=r"no column camera \(only .*light\)"):
        fairness_blocks(tmp_path, table, OPTIONS | {"by": ["camera"]})


def test_the_age_gate(tmp_path: Path) -> None:
    text = _text(age_gate_blocks(tmp_path, _table(), OPTIONS), tmp_path)
    assert text.count("| 18, FPR below") == 2
    found = read_json(tmp_path / "age_gate.json")
    five = next(row for row in found["gates"] if (row["gate"], row["rule"]) == (18, "FPR below 5%"))
    assert _line(text, "18, FPR below 5%").startswith(
        f"| 18, FPR below 5% | {five['buffer']:.0f} | {100 * five['fpr']:.1f}% ({100 * five['fpr_low']:.1f}–"
    )
    assert "| 13 to 17: pass |" in text
    assert "too few" in _line(text, "13: pass")
    assert "challenged" in _line(text, "18 to 24: challenged")
    assert len(pd.read_csv(tmp_path / "age_gate.csv")) == 93
    assert (tmp_path / "plots" / "age_gate.png").stat().st_size > 1000
    assert "Left out" not in text


def test_the_age_gate_of_intervals(tmp_path: Path) -> None:
    """Bins of ten years: none is surely 13 to 17."""
    table = _table()
    low = table["age"] // 10 * 10
    text = _text(
        age_gate_blocks(tmp_path, table.assign(age=np.nan, age_min=low, age_max=low + 9), OPTIONS), tmp_path
    )
    left_out = int((low == 10).sum())
    assert f"lies on both sides of the gate: {left_out} at 13, {left_out} at 16, {left_out} at 18." in text
    assert "| 13 to 17: pass | 0 | too few |" in text


def test_no_age_gate_without_children_or_ages(tmp_path: Path) -> None:
    table = _table()
    text = _text(age_gate_blocks(tmp_path, table.assign(age=table["age"] + 20), OPTIONS), tmp_path)
    assert "No gate has 30 faces below it" in text
    assert not (tmp_path / "plots").exists()
    json.loads((tmp_path / "age_gate.json").read_text("utf-8"))
    assert age_gate_blocks(tmp_path, table.assign(age=np.nan), OPTIONS) == []
