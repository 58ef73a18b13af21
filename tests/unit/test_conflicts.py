"""Labels of one photo that disagree, and what a split leaks: counted, settled, named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agegender.data.duplicates.conflicts import count_copies, in_conflict, settle
from agegender.data.duplicates.leaks import count_leaks, duplicates_table

# id, photo, content, age, gender, part, cluster
ROWS = [
    ("a1", 0, "A", 20, "male", "train", 0),
    ("a2", 0, "A", 24, "male", "val", 0),  # identical, other age
    ("b1", 1, "B", 30, "female", "train", 1),
    ("b2", 1, "B small", 30, "female", "train", 1),  # near, labels agree
    ("c1", 2, "C", np.nan, "male", "test", 2),
    ("c2", 2, "C mirrored", 50, "female", "train", 2),  # near, other gender, one age
    ("d1", 3, "D", 60, None, "val", 3),
    ("e1", 4, "E", 61, "male", "test", 3),  # the identity of d, another photo
    ("f1", 5, "F", 7, "male", "train", 4),
]


@pytest.fixture
def faces() -> pd.DataFrame:
    names = ["id", "photo", "sha256", "age", "gender", "part", "cluster"]
    table = pd.DataFrame(ROWS, columns=names)
    table["path"] = "/faces/" + table["id"]
    table["age_min"] = table["age_max"] = np.nan
    return table


def test_counts(faces: pd.DataFrame) -> None:
    copies = count_copies(faces)
    assert (copies.exact, copies.exact_surplus) == (1, 1)
    assert (copies.near, copies.near_files) == (2, 4)
    assert (copies.photos, copies.conflicts) == (3, 2)
    assert (copies.conflicts_age, copies.conflicts_gender) == (1, 1)
    assert (copies.largest, copies.clusters) == (2, 4)
    assert copies.age_gap_mean == 2  # 4 years and 0; c has one age only
    assert in_conflict(faces).tolist() == [True, True, False, False, True, True, False, False, False]


def test_an_identity_is_no_conflict(faces: pd.DataFrame) -> None:
    """One person at two ages is two photos."""
    assert not in_conflict(faces)[faces["cluster"] == 3].any()


@pytest.mark.parametrize(
    ("other", "gap"),
    [([20, 29], 0), ([25, 35], 0), ([29, 40], 0), ([30, 39], 1), ([0, 2], 18), ([25, 25], 0), ([40, 40], 11)],
    ids=str,
)
def test_intervals_conflict_where_they_have_no_age_in_common(
    other: list[int], gap: int, faces: pd.DataFrame
) -> None:
    faces.loc[2, ["age", "age_min", "age_max"]] = [np.nan, 20, 29]
    faces.loc[3, ["age", "age_min", "age_max"]] = [np.nan, *other]
    if other[0] == other[1]:
        faces.loc[3, ["age", "age_min", "age_max"]] = [other[0], np.nan, np.nan]
    assert in_conflict(faces)[2:4].tolist() == [gap > 0] * 2
    assert count_copies(faces).age_gap_mean == (4 + gap) / 2  # 4 years in the first photo


@pytest.mark.parametrize(
    ("policy", "left_out"), [("keep", []), ("drop", ["a1", "a2", "c1", "c2"]), ("first", ["a2", "c2"])]
)
def test_settling(policy: str, left_out: list[str], faces: pd.DataFrame) -> None:
    kept, rejected = settle(faces, policy)
    assert rejected["id"].tolist() == left_out
    assert set(rejected["reason"]) <= {"conflicting labels"}
    assert sorted([*faces["id"][kept], *left_out]) == faces["id"].tolist()


def test_nothing_twice() -> None:
    faces = pd.DataFrame({"photo": [0, 1], "sha256": ["A", "B"], "gender": ["male", None], "cluster": [0, 1]})
    faces[["age", "age_min", "age_max"]] = np.nan
    copies = count_copies(faces)
    assert (copies.exact, copies.near, copies.photos, copies.conflicts) == (0, 0, 0, 0)
    assert copies.age_gap_mean is None


def test_leaks_are_counted_and_named(faces: pd.DataFrame) -> None:
    leaks = count_leaks(faces)
    assert leaks["clusters"] == 3  # a, c, and the identity of d and e, which train has not seen
    assert leaks["faces"] == {"train": 0, "val": 1, "test": 1}
    assert leaks["examples"] == [
        {"id": "a2", "part": "val", "train": "a1"},
        {"id": "c1", "part": "test", "train": "c2"},
    ]


def test_no_leak(faces: pd.DataFrame) -> None:
    faces["part"] = "train"
    assert count_leaks(faces) == {"clusters": 0, "faces": {"train": 0}, "examples": []}


def test_the_table_of_copies(faces: pd.DataFrame) -> None:
    table = duplicates_table(faces).set_index("id")
    assert list(table.index) == ["a1", "a2", "b1", "b2", "c1", "c2", "d1", "e1"]
    assert table["copy"].tolist() == ["exact"] * 2 + ["near"] * 4 + ["identity"] * 2
    assert table["conflict"].tolist() == [True, True, False, False, True, True, False, False]
    assert table["leak"].tolist() == [True, True, False, False, True, True, True, True]
    assert table["split"]["c1"] == "test"
