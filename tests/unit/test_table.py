"""The predictions table: what is written comes back, what is impossible is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agegender.core.errors import UserError
from agegender.evaluation.table import (
    COLUMNS,
    NEEDED,
    SEVERAL,
    read_any_predictions,
    read_predictions,
    write_predictions,
)


def _table() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "id": ["007", "NA", 'a "b", c'],
            "path": ["/faces/ä b.jpg", "/faces/null", "/faces/1.jpg"],
            "split": ["val", "cal", "test"],
            "age": [1 / 3, np.nan, np.nan],
            "age_min": [np.nan, 20, np.nan],
            "age_max": [np.nan, 29, np.nan],
            "gender": ["female", None, "male"],
            "group": ["None", None, "1"],
            "identity": ["12", "012", None],
            "cluster": [0, 1, 1],
            "age_pred": [2 / 3, 24.123456789, 1e-3],
            "gender_pred": ["female", "male", "male"],
            "gender_prob": [1 / 3, 0.0, 1.0],
        }
    )
    return table.reindex(columns=list(COLUMNS))


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(_table(), path)
    back = read_predictions(path)
    assert list(back.columns) == list(COLUMNS)
    for name in ("id", "path", "split", "gender", "group", "identity", "gender_pred"):
        want = [None if pd.isna(value) else value for value in _table()[name]]
        assert [None if pd.isna(value) else value for value in back[name]] == want, name
    for name in ("age", "age_min", "age_max", "cluster", "age_pred", "age_std", "gender_prob"):
        np.testing.assert_allclose(back[name], _table()[name].astype(float), rtol=1e-8, err_msg=name)
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.csv"]


def test_four_columns_suffice_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("note,gender_prob,id,gender_pred,age_pred\nx,0.5,1,female,30\n", encoding="utf-8")
    table = read_predictions(path)
    assert list(table.columns) == [*COLUMNS, "note"]
    assert table["age"].isna().all()
    assert table["gender"].isna().all()
    assert table["id"].tolist() == ["1"]


def test_a_file_name_that_is_no_utf_8(tmp_path: Path) -> None:
    table = _table().assign(path="/faces/\udcff.jpg")
    write_predictions(table, tmp_path / "predictions.csv")
    assert read_predictions(tmp_path / "predictions.csv")["path"].eq("/faces/\\udcff.jpg").all()


@pytest.mark.parametrize("name", NEEDED)
def test_a_needed_column(name: str, tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(_table().drop(columns=name), path)
    with pytest.raises(UserError, match=f"predictions.csv: no column {name} "):
        read_predictions(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("id", None, "id is empty in row 2, such rows: 1 of 3"),
        ("age_pred", None, "age_pred is empty in row 2"),
        ("age_pred", "old", "age_pred is old in row 2"),
        ("age_pred", "inf", "age_pred is inf in row 2"),
        ("age", "20-29", "age is 20-29 in row 2"),
        ("gender_prob", 1.2, "gender_prob is 1.2 in row 2"),
        ("gender_prob", -0.1, "gender_prob is -0.1 in row 2"),
        ("gender_prob_calibrated", 1.2, "gender_prob_calibrated is 1.2 in row 2"),
        ("gender_pred", None, "gender_pred is empty in row 2"),
        ("gender_pred", "woman", "gender_pred is woman in row 2, .*allowed: female, male"),
        ("gender", "Male", "gender is Male in row 2, .*allowed: female, male"),
    ],
)
def test_impossible_values(name: str, value: object, message: str, tmp_path: Path) -> None:
    table = _table()
    values = table[name].tolist()
    table[name] = pd.Series([values[0], value, values[2]], dtype=object)
    write_predictions(table, tmp_path / "predictions.csv")
    with pytest.raises(UserError, match=message) as caught:
        read_predictions(tmp_path / "predictions.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"id,age_pred\n1,2,3,4\n5\n1,2,3,4,5,6\n"])
def test_no_csv(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"predictions\.csv: ") as caught:
        read_predictions(path)
    assert "\n" not in str(caught.value)


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    write_predictions(_table().iloc[:0], tmp_path / "predictions.csv")
    table = read_predictions(tmp_path / "predictions.csv")
    assert len(table) == 0
    assert list(table.columns) == list(COLUMNS)


def test_columns_of_several_passes_are_numbers(tmp_path: Path) -> None:
    table = _table().assign(**dict.fromkeys(SEVERAL, 0.25))
    write_predictions(table, tmp_path / "predictions.csv")
    pd.testing.assert_frame_equal(
        read_predictions(tmp_path / "predictions.csv")[list(SEVERAL)], table[list(SEVERAL)]
    )
    write_predictions(table.assign(age_std_epistemic="wide"), tmp_path / "predictions.csv")
    with pytest.raises(UserError, match="age_std_epistemic is wide in row 1"):
        read_predictions(tmp_path / "predictions.csv")


def test_the_table_of_any_program_may_lack_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    write_predictions(_table().drop(columns=["split", "cluster", "path"]), path)
    assert read_any_predictions(path)["split"].tolist() == ["test"] * 3
    write_predictions(_table(), path)
    assert read_any_predictions(path)["split"].tolist() == ["val", "cal", "test"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ["1", "2", "1"]}, "id is 1 in row 3, such rows: 1 of 3 .*each once"),
        ({"split": ["val", None, "test"]}, "split is empty in row 2, .*val, cal, test"),
        ({"split": "train"}, "split is train in row 1, such rows: 3 of 3"),
        ({"age_std": [1, -1, 0]}, "age_std is -1.0 in row 2"),
        ({"age_low": [1, 30, 1], "age_high": [1, 20, 1]}, "age_high is 20.0 in row 2, .*age_low or more"),
        ({"age_low": [1, 2, np.nan], "age_high": 9}, "age_low is empty in row 3, .*where age_high has one"),
        ({"age_max": [np.nan, 19, np.nan]}, "age_max is 19.0 in row 2, .*age_min or more"),
        ({"age_max": np.nan}, "age_max is empty in row 2, .*where age_min has one"),
        (
            {"age": np.nan, "gender": None, "split": ["val", "cal", "test"]},
            "no row of val or test has a label",
        ),
    ],
)
def test_what_the_table_of_any_program_may_get_wrong(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_predictions(_table().assign(**changes), tmp_path / "theirs.csv")
    with pytest.raises(UserError, match=message) as caught:
        read_any_predictions(tmp_path / "theirs.csv")
    assert "theirs.csv: " in str(caught.value)
    assert "\n" not in str(caught.value)
