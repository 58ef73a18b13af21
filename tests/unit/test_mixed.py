"""Several sources as one set: what is joined, what is told apart, what each limit keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from agegender.config.compose import conf_dir
from agegender.config.options import DataOptions
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import read_yaml
from agegender.data.dataset import Dataset, load_dataset
from agegender.data.interfaces import Source
from agegender.data.manifest import COLUMNS
from agegender.data.sources import synthetic
from agegender.report.runs import differing_settings

from ..made import make_fairface


def part(name: str, **values: Any) -> dict[str, Any]:
    """A source as its YAML composes it."""
    return {**read_yaml(conf_dir() / "data" / f"{name}.yaml"), **values}


def options(sources: Any, **values: Any) -> DataOptions:
    plain = {**read_yaml(conf_dir() / "data" / "mixed.yaml"), "sources": sources, **values}
    found: DataOptions = registry.find("data", "mixed").Options.model_validate(plain)
    return found


def source(sources: Any, **values: Any) -> Source:
    built: Source = registry.build("data", options(sources, **values))
    return built


def people(folder: Path, rows: str) -> dict[str, Any]:
    """A CSV whose faces have an identity and a group."""
    folder.mkdir()
    (folder / "faces.csv").write_text("path,age,gender,who,race\n" + rows)
    for name in "abc":
        (folder / f"{name}.jpg").touch()
    columns = {
        "path": "path",
        "age": "age",
        "gender": "gender",
        "group": "race",
        "identity": "who",
        "split": None,
    }
    return part("csv", csv=str(folder / "faces.csv"), columns=columns, gender_codes={0: "male", 1: "female"})


def test_names_are_told_apart_and_the_rest_is_joined(tmp_path: Path) -> None:
    fairface = {"name": "fairface", "root": str(make_fairface(tmp_path / "fairface", 3)), "top_age": 90}
    sources = {
        "one": people(tmp_path / "one", "a.jpg,30,1,ann,white\nb.jpg,old,0,,\n"),
        "two": people(tmp_path / "two", "a.jpg,40,0,ann,black\nc.jpg,41,,,\n"),
        "bins": fairface,
    }
    manifest = source(sources).read()
    faces = manifest.faces
    assert tuple(faces.columns) == COLUMNS
    assert faces.index.tolist() == list(range(6))
    assert faces["id"].tolist() == [
        "one/a.jpg", "two/a.jpg", "two/c.jpg", "bins/train/0.png", "bins/train/1.png", "bins/val/2.png"
    ]  # fmt: skip
    assert faces["identity"].tolist() == ["one/ann", "two/ann", *[None] * 4]
    assert faces["group"].tolist() == ["white", "black", None, *["white"] * 3]
    assert faces["age"].fillna(-1).tolist() == [30, 40, 41, -1, -1, -1]
    assert faces["age_max"].fillna(-1).tolist() == [-1, -1, -1, 2, 9, 19]
    assert all(Path(path).is_file() for path in faces["path"])
    assert manifest.rejected[["id", "reason"]].to_numpy().tolist() == [["one/b.jpg", "unreadable age"]]
    assert manifest.terms.startswith("one: not stated by the data set (faces.csv); two: not stated")
    assert manifest.terms.endswith("; bins: CC BY 4.0 (FairFace)")
    (note,) = manifest.notes
    assert note.startswith("bins: FairFace gives ages as intervals")


def drawn(n: int, **values: Any) -> dict[str, Any]:
    return {"name": "synthetic", "n": n, "seed": 0, **values}


@pytest.fixture
def _grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces cost nothing to draw."""

    def draw(seed: int, index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.random.default_rng([seed, index]).integers(0, 256, (128, 128, 3), dtype=np.uint8)

    monkeypatch.setenv("AGEGENDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(synthetic, "draw_face", draw)


def _loaded(sources: dict[str, Any], split: str | None = None, **values: Any) -> Dataset:
    of_split = None
    if split is not None:
        plain = read_yaml(conf_dir() / "split" / f"{split}.yaml")
        of_split = registry.find("split", split).Options.model_validate(plain)
    return load_dataset(options(sources, **values), of_split, 16)


@pytest.mark.usefixtures("_grey")
def test_each_source_has_its_limit_and_the_set_has_one(tmp_path: Path) -> None:
    sources = {"few": drawn(30, limit=5), "many": drawn(40, seed=1)}
    ids = _loaded(sources).faces["id"]
    assert ids.str.startswith("few/").sum() == 5
    assert len(ids) == 45
    fewer = _loaded(sources, limit=20).faces["id"]
    assert len(fewer) == 20
    assert set(fewer) < set(_loaded(sources, limit=30).faces["id"]) < set(ids)
    assert len(list(tmp_path.glob("cache/synthetic/*/*.png"))) == 45  # the other rows were never drawn


@pytest.mark.usefixtures("_grey")
def test_parts_that_the_data_declare(tmp_path: Path) -> None:
    bins = {"name": "fairface", "root": str(make_fairface(tmp_path / "fairface", 6)), "top_age": 90}
    dataset = _loaded({"one": bins, "two": bins}, split="column")
    assert dataset.faces["part"].value_counts().to_dict() == {"train": 8, "val": 4}
    with pytest.raises(UserError, match=r"9 of 15 faces have no word .* e\.g\. drawn/synthetic-0-000000"):
        _loaded({"one": bins, "drawn": drawn(9)}, split="column")


def test_what_all_sources_share_is_set_once() -> None:
    found: Any = options(
        {"own": drawn(5), "composed": part("synthetic")}, image_size=32, age_max=60, cache="none"
    )
    for each in found.sources.values():
        assert (each.image_size, each.age_max, each.cache, each.limit) == (32, 60, "none", None)
    plain = found.to_dict()
    assert plain["sources"]["own"] == {"name": "synthetic", "limit": None, "n": 5, "seed": 0}
    assert type(found).model_validate(plain) == found
    assert source({"own": drawn(200)}, age_max=30).read().faces["age"].max() <= 30


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({}, "needs a source or more"),
        (None, "needs a source or more"),
        (["synthetic"], "needs a source or more"),
        ({"x": 3}, "must be a mapping with a name, one of csv, fairface"),
        ({"x": {"n": 3}}, "must be a mapping with a name, one of csv, fairface"),
        ({"x": {"name": "synthetik"}}, "did you mean 'synthetic'"),
        ({"x": part("mixed")}, "x: a mixed set cannot be a source of another"),
        ({"x": drawn(0)}, "greater than or equal to 1"),
        ({"x": drawn(5, limit=0)}, "greater than or equal to 1"),
        ({"x": {"name": "synthetic", "n": 5}}, "Field required"),
        ({"x": drawn(5, age_max=60)}, "x.age_max=60 is set for all sources together, as data.age_max"),
        ({"x": drawn(5, cache="memory")}, "x.cache=memory is set for all"),
        ({"a/b": drawn(5)}, "should match pattern"),
        ({"": drawn(5)}, "should match pattern"),
        ({3: drawn(5)}, "valid string"),
    ],
)
def test_refused(sources: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(sources)


def test_a_source_that_fails_is_named(tmp_path: Path) -> None:
    sources = {"drawn": drawn(5), "empty": {"name": "utkface", "root": str(tmp_path)}}
    with pytest.raises(UserError, match=r"^data\.sources\.empty: data\.root=.*: no \.jpg"):
        source(sources).read()
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(
        UserError, match=r"^data\.sources\.empty: no usable face in 1 rows \(1 malformed name\)"
    ):
        source(sources).read()


def test_where_the_faces_lie_is_no_difference_between_runs() -> None:
    settings = [
        {"data": {"sources": {"utkface": {"root": root, "limit": limit}}}}
        for root, limit in (("a", 1), ("b", 2))
    ]
    assert differing_settings(settings) == [
        {"data.sources.utkface.limit": "1"},
        {"data.sources.utkface.limit": "2"},
    ]
