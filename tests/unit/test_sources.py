"""Every source: what it reads, what it rejects with which reason, what it refuses as the user's mistake."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from agegender.config.compose import conf_dir
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import read_yaml
from agegender.data.interfaces import Source
from agegender.data.manifest import COLUMNS, Manifest
from agegender.data.sources import synthetic
from agegender.data.sources.csv import normal_code
from agegender.data.table import read_table

CODES = {0: "male", 1: "female"}


def source(name: str, **values: Any) -> Source:
    options = {**read_yaml(conf_dir() / "data" / f"{name}.yaml"), **values}
    built: Source = registry.build(
        "data", registry.find("data", options["name"]).Options.model_validate(options)
    )
    return built


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def reasons(manifest: Manifest) -> dict[str, str]:
    return dict(zip(manifest.rejected["id"], manifest.rejected["reason"], strict=True))


# --- UTKFace ---------------------------------------------------------------------------------------


def test_utkface_reads_names_flat_and_one_folder_down(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "26_1_3_20170104.jpg.chip.jpg",
        "part1/5_0_0_20170104.jpg",
        "part2/90_1_4_2017.JPG",
        "part1/x/1_0_0_1.jpg",
    )
    touch(tmp_path, "README.md", ".hidden.jpg", "part1/._5_0_0_20170104.jpg")
    manifest = source("utkface", root=str(tmp_path)).read()
    faces = manifest.faces
    assert tuple(faces.columns) == COLUMNS
    assert faces["id"].tolist() == [
        "26_1_3_20170104.jpg.chip.jpg",
        "part1/5_0_0_20170104.jpg",
        "part2/90_1_4_2017.JPG",
    ]
    assert faces["age"].tolist() == [26, 5, 90]
    assert faces["gender"].tolist() == ["female", "male", "female"]
    assert faces["group"].tolist() == ["indian", "white", "others"]
    assert all(Path(path).is_file() for path in faces["path"])
    assert "non-commercial" in manifest.terms
    assert manifest.rejected.empty


@pytest.mark.parametrize(
    "name",
    [
        "61_1_20170109142408075.jpg.chip.jpg",  # no race
        "24_0_1_20170116220224657 .jpg.chip.jpg",
        "55_0_0_20170116232725357jpg.chip.jpg",
        "30_2_0_20170116.jpg",  # no such gender
        "30_1_5_20170116.jpg",  # no such race
        "-3_1_0_20170116.jpg",
        "1000_1_0_20170116.jpg",
        "3.5_1_0_20170116.jpg",
        "holiday.jpg",
        "30_1_0_20170116.jpg\n.jpg",
        "³_1_0_20170116.jpg",
    ],
)  # fmt: skip
def test_utkface_rejects_malformed_names(name: str, tmp_path: Path) -> None:
    touch(tmp_path, name, "26_1_3_20170104.jpg.chip.jpg")
    manifest = source("utkface", root=str(tmp_path)).read()
    assert reasons(manifest) == {name: "malformed name"}
    assert name in manifest.rejected["detail"][0]


def test_utkface_age_range_is_an_option(tmp_path: Path) -> None:
    touch(tmp_path, "26_1_3_1.jpg", "70_1_3_1.jpg")
    manifest = source("utkface", root=str(tmp_path), age_max=60).read()
    assert reasons(manifest) == {"70_1_3_1.jpg": "age outside range"}
    assert manifest.rejected["detail"][0] == "70 is not in 0..60"


def test_utkface_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.jpg"):
        source("utkface", root=str(tmp_path)).read()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="no such folder"):
        source("utkface", root=str(tmp_path / "gone"))


# --- FairFace --------------------------------------------------------------------------------------

HEADER = "file,age,gender,race,service_test\n"


def fairface(folder: Path, rows: str, name: str = "fairface_label_train.csv") -> Path:
    (folder / name).write_text(HEADER + rows)
    touch(folder, *[f"{part}/{i}.jpg" for part in ("train", "val") for i in range(1, 5)])
    return folder


def test_fairface_reads_intervals_and_both_files(tmp_path: Path) -> None:
    fairface(tmp_path, "train/1.jpg,0-2,Male,East Asian,True\ntrain/2.jpg,more than 70,Female,White,False\n")
    fairface(tmp_path, "val/1.jpg,3-9,Male,Latino_Hispanic,True\n", "fairface_label_val.csv")
    manifest = source("fairface", root=str(tmp_path), top_age=95.0).read()
    faces = manifest.faces
    assert faces["id"].tolist() == ["train/1.jpg", "train/2.jpg", "val/1.jpg"]
    assert faces["age"].isna().all()
    assert faces[["age_min", "age_max"]].to_numpy().tolist() == [[0, 2], [70, 95], [3, 9]]
    assert faces["gender"].tolist() == ["male", "female", "male"]
    assert faces["group"].tolist() == ["east asian", "white", "latino_hispanic"]
    assert faces["split"].tolist() == ["train", "train", "val"]
    assert "distance to the interval ('more than 70' is 70 to 95 years)" in manifest.notes[0]


def test_fairface_rejects_what_it_does_not_know(tmp_path: Path) -> None:
    rows = (
        "train/1.jpg,Oct-19,Male,White,\n"
        "train/2.jpg,3-9,male,White,\n"
        "train/3.jpg,3-9,,,\n"
        "train/9.jpg,3-9,Male,White,\n"
    )
    manifest = source("fairface", root=str(fairface(tmp_path, rows))).read()
    assert reasons(manifest) == {
        "train/1.jpg": "unknown age bin",
        "train/2.jpg": "unknown gender",
        "train/9.jpg": "no such file",
    }
    assert manifest.rejected["detail"].tolist()[:2] == ["Oct-19", "male"]
    assert manifest.faces["gender"].tolist() == [None]
    assert manifest.faces["group"].tolist() == [None]


def test_fairface_refuses_a_folder_without_labels(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none of fairface_label_train\.csv"):
        source("fairface", root=str(tmp_path)).read()


def test_fairface_names_a_missing_column(tmp_path: Path) -> None:
    (tmp_path / "fairface_label_val.csv").write_text("file,ages,gender,race\nval/1.jpg,3-9,Male,White\n")
    with pytest.raises(UserError, match="unknown column 'age'; did you mean 'ages'"):
        source("fairface", root=str(tmp_path)).read()


# --- CSV -------------------------------------------------------------------------------------------


def csv_source(folder: Path, text: str | bytes, **values: Any) -> Source:
    touch(folder, *[f"{name}.jpg" for name in "abcd"])
    path = folder / "faces.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    columns = {**read_yaml(conf_dir() / "data" / "csv.yaml")["columns"], **values.pop("columns", {})}
    return source("csv", **{"csv": str(path), "columns": columns, "gender_codes": CODES, **values})


def test_csv_reads_all_columns(tmp_path: Path) -> None:
    text = (
        "id,who,path,age,gender,race,fold\n"
        "7,ann,a.jpg,33.5,1,x,train\n"
        f"8,,../{tmp_path.name}/b.jpg,,0.0,,val\n"
        f"9,bob,{tmp_path}/c.jpg,4,,,\n"
    )
    manifest = csv_source(
        tmp_path,
        text,
        columns={"group": "race", "identity": "who", "split": "fold"},
    ).read()
    faces = manifest.faces
    assert faces["id"].tolist() == ["7", "8", "9"]
    assert faces["age"].tolist()[::2] == [33.5, 4]
    assert np.isnan(faces["age"][1])
    assert faces["gender"].tolist() == ["female", "male", None]
    assert faces["group"].tolist() == ["x", None, None]
    assert faces["identity"].tolist() == ["ann", None, "bob"]
    assert faces["split"].tolist() == ["train", "val", None]
    assert all(Path(path).is_file() for path in faces["path"])


@pytest.mark.parametrize(
    "text",
    [
        "path;age;gender\na.jpg;3;0\n",
        "path\tage\tgender\na.jpg\t3\t0\n",
        "path|age|gender\na.jpg|3|0\n",
        "\ufeffpath,age,gender\r\na.jpg,3,0\r\n",
        " path , age , gender\na.jpg, 3 ,0 \n",
        '\n\n"path","age","gender"\n"a.jpg","3","0"\n\n',
    ],
    ids=["semicolon", "tab", "bar", "byte order mark", "blanks", "quotes"],
)
def test_csv_dialects(text: str, tmp_path: Path) -> None:
    faces = csv_source(tmp_path, text).read().faces
    assert faces[["id", "age", "gender"]].to_numpy().tolist() == [["a.jpg", 3.0, "male"]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b.jpg,old,1", "unreadable age"),
        ('b.jpg,"33,5",1', "unreadable age"),
        ("b.jpg,-1,1", "age outside range"),
        ("b.jpg,inf,1", "age outside range"),
        ("b.jpg,1e9,1", "age outside range"),
        ("b.jpg,30,2", "unknown gender"),
        ("b.jpg,30,female", "unknown gender"),
        ("b.jpg,,", "no label"),
        ("b.jpg", "no label"),
        ("b.jpg,NaN,n/a", "no label"),
        (",30,1", "no path"),
        ("gone.jpg,30,1", "no such file"),
        (".,30,1", "no such file"),
        ("../../../../gone.jpg,30,1", "no such file"),
    ],
)
def test_csv_rejects_a_row_with_its_reason(row: str, reason: str, tmp_path: Path) -> None:
    manifest = csv_source(tmp_path, f"path,age,gender\na.jpg,3,0\n{row}\n").read()
    assert manifest.faces["id"].tolist() == ["a.jpg"]
    assert manifest.rejected["reason"].tolist() == [reason]


def test_csv_keeps_the_face_listed_twice_under_two_ids(tmp_path: Path) -> None:
    manifest = csv_source(tmp_path, "id,path,age,gender\n1,a.jpg,3,0\n1,a.jpg,4,0\n").read()
    assert manifest.faces["id"].tolist() == ["a.jpg", "a.jpg#2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"path,age,gender\n", "has no rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "is no UTF-8 text"),
        (b"PK\x03\x04\0\0\0\0", "is no CSV"),
        (b"x" * 200_000, "is no CSV"),
        (codecs.BOM_UTF16_LE + "path,age,gender\na.jpg,3,0\n".encode("utf-16-le"), "is no UTF-8 text"),
        ("path,age,gender\nä.jpg,3,0\n".encode("latin-1"), r"is no UTF-8 text \(it holds byte 0xe4\)"),
        (b"path,age,gender\na.jpg,3,0,9\n", "is no table"),
        (b"path,age,gender\na.jpg,3,0\nb.jpg,3,0,9\n", "is no table"),
        (b'path,age,gender\n"a.jpg,3,0\n', "is no table"),
        (b"path,age,age,gender\na.jpg,3,3,0\n", "'age' more than once"),
        (b"file,age,gender\na.jpg,3,0\n", r"unknown data.columns.path 'path' \(known: age, file, gender\)"),
        (b"path,Age,gender\na.jpg,3,0\n", "unknown data.columns.age 'age'; did you mean 'Age'"),
        (b"path,age,gender\nx.jpg,3,0\ny.jpg,3,0\n", "none of its 2 files exists, e.g. .*x.jpg; data.root"),
        (b"path,age,gender\na.jpg,3,M\nb.jpg,3,F\n", "holds M, F; data.gender_codes knows 0, 1"),
    ],
)
def test_csv_refuses_the_file(text: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        csv_source(tmp_path, text).read()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gender_codes": None}, "say what the codes in column 'gender' mean"),
        ({"gender_codes": {0: "male"}}, "needs a code for female"),
        ({"gender_codes": {0: "male", 1: "male"}}, "needs a code for female"),
        ({"gender_codes": {}}, "needs a code for female"),
        ({"gender_codes": {0: "male", 1: "woman"}}, "'female' or 'male'"),
        ({"gender_codes": {0: "male", "0.0": "female"}}, "two of the codes are the same"),
        ({"gender_codes": "0=male"}, "dictionary"),
        ({"columns": {"age": None, "gender": None}}, "needs an age column or a gender column"),
        ({"columns": {"path": None}}, "should be a valid string"),
        ({"columns": {"sex": "gender"}}, "Extra inputs are not permitted"),
        ({"csv": "/no/such.csv"}, "no such file"),
        ({"root": "/no/such/folder"}, "no such folder"),
    ],
    ids=str,
)
def test_csv_options_are_checked(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=message):
        csv_source(tmp_path, "path,age,gender\na.jpg,3,0\n", **values)


def test_csv_without_genders_needs_no_codes(tmp_path: Path) -> None:
    made = csv_source(tmp_path, "path,age\na.jpg,3\n", columns={"gender": None}, gender_codes=None)
    assert made.read().faces["gender"].tolist() == [None]


def test_csv_options_survive_the_run_directory(tmp_path: Path) -> None:
    options = csv_source(tmp_path, "path,age,gender\na.jpg,3,0\n").options  # type: ignore[attr-defined]
    assert type(options).model_validate(options.to_dict()) == options


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        (" 1 ", "1"),
        ("-1.00", "-1"),
        ("1.5", "1.5"),
        ("M", "M"),
        ("1.", "1"),
    ],
)
def test_codes_compare_as_text(value: object, code: str) -> None:
    assert normal_code(value) == code


def test_kaggle_preset_reads_the_competitions_layout(tmp_path: Path) -> None:
    touch(tmp_path, "train/00000.jpg", "train/00001.jpg")
    (tmp_path / "train.csv").write_text(
        "id,full_path,gender,age\n0,train/00000.jpg,1,66\n1,train/00001.jpg,0,7\n"
    )
    faces = source("kaggle_nppe1", csv=str(tmp_path / "train.csv")).read().faces
    assert faces[["id", "age", "gender"]].to_numpy().tolist() == [["0", 66.0, "male"], ["1", 7.0, "female"]]


def test_tables_keep_words_that_look_missing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\nNA,007\nnull,\n")
    assert read_table(tmp_path / "t.csv").to_numpy().tolist() == [["NA", "007"], ["null", ""]]


# --- synthetic -------------------------------------------------------------------------------------


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Indices drawn so far, by a stand-in for the artist."""
    indices: list[int] = []

    def draw(seed: int, index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        indices.append(index)
        return np.full((128, 128, 3), (seed + index) % 256, dtype=np.uint8)

    monkeypatch.setenv("AGEGENDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(synthetic, "draw_face", draw)
    return indices


def test_synthetic_reads_labels_without_drawing(drawn: list[int]) -> None:
    made = source("synthetic", n=30)
    manifest = made.read()
    assert manifest.faces["id"].tolist()[:2] == ["synthetic-0-000000", "synthetic-0-000001"]
    assert manifest.faces["age"].between(0, 120).all()
    assert set(manifest.faces["gender"]) == {"female", "male"}
    assert "must not be used on photographs" in manifest.terms
    assert drawn == []
    pd.testing.assert_frame_equal(source("synthetic", n=10).read().faces, manifest.faces[:10])


def test_synthetic_draws_what_is_missing_once(drawn: list[int]) -> None:
    made = source("synthetic", n=8, seed=3)
    faces = made.read().faces
    made.prepare_files(faces.iloc[[1, 5]])
    made.prepare_files(faces.iloc[[1, 5, 6]])
    assert drawn == [1, 5, 6]
    with Image.open(faces["path"][5]) as image:
        assert image.size == (128, 128)
        assert image.getpixel((0, 0)) == (8, 8, 8)
    assert not list(Path(faces["path"][5]).parent.glob(".*"))


def test_synthetic_leaves_no_half_file(drawn: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: int) -> None:
        raise KeyboardInterrupt

    made = source("synthetic", n=2)
    monkeypatch.setattr(synthetic, "draw_face", killed)
    with pytest.raises(KeyboardInterrupt):
        made.prepare_files(made.read().faces)
    assert not list(Path(made.read().faces["path"][0]).parent.iterdir())
    assert drawn == []


def test_synthetic_in_a_cache_that_cannot_be_written(
    drawn: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AGEGENDER_CACHE", str(tmp_path / "file"))
    made = source("synthetic", n=2)
    with pytest.raises(UserError, match="AGEGENDER_CACHE names another folder"):
        made.prepare_files(made.read().faces)
    assert drawn == []


@pytest.mark.parametrize(
    "values", [{"n": 0}, {"n": 1_000_001}, {"seed": -1}, {"n": True}, {"n": "5"}], ids=str
)
def test_synthetic_options_are_bounded(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source("synthetic", **values)


MakeSource = Callable[[Path], Source]


def _utkface(folder: Path) -> Source:
    touch(folder, "26_1_3_20170104.jpg.chip.jpg")
    return source("utkface", root=str(folder))


def _fairface(folder: Path) -> Source:
    return source("fairface", root=str(fairface(folder, "train/1.jpg,0-2,Male,White,True\n")))


def _csv(folder: Path) -> Source:
    return csv_source(folder, "path,age,gender\na.jpg,3,0\n")


@pytest.mark.parametrize("make", [_utkface, _fairface, _csv])
def test_preparing_files_changes_nothing_elsewhere(make: MakeSource, tmp_path: Path) -> None:
    made = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    made.prepare_files(made.read().faces)
    assert sorted(tmp_path.rglob("*")) == before
