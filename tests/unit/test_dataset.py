"""From options to decoded faces: what is kept, in which order, and what a run directory gets."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from agegender.config.compose import conf_dir
from agegender.config.options import DataOptions, SplitOptions
from agegender.core import registry
from agegender.core.errors import RunError, UserError
from agegender.core.files import read_yaml
from agegender.data.dataset import Dataset, RefusedData, UnusableData, load_dataset, write_rejected
from agegender.data.images import decode_face, read_bytes
from agegender.data.samples import decode, hashes, load
from agegender.data.sources import synthetic
from agegender.data.synthetic.faces import draw_face


def options(kind: str, name: str, **values: Any) -> Any:
    plain = {**read_yaml(conf_dir() / kind / f"{name}.yaml"), **values}
    return registry.find(kind, plain["name"]).Options.model_validate(plain)


def data(folder: Path, **values: Any) -> DataOptions:
    made: DataOptions = options("data", "utkface", root=str(folder), **values)
    return made


def split(name: str = "random", **values: Any) -> SplitOptions:
    made: SplitOptions = options("split", name, **values)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 faces of one colour each; face i has age i and grey value 5 i."""
    made = tmp_path / "faces"
    made.mkdir()
    for i in range(40):
        Image.new("RGB", (20, 24), (5 * i,) * 3).save(made / f"{i}_{i % 2}_0_1.png")
    return made


def pixels(dataset: Dataset) -> npt.NDArray[np.uint8]:
    return dataset.samples[np.arange(len(dataset.samples))]


def ages_seen(dataset: Dataset) -> list[int]:
    """Age that each image shows."""
    return [int(grey) // 5 for grey in pixels(dataset)[:, 0, 0, 0]]


def test_images_and_labels_belong_together(folder: Path) -> None:
    dataset = load_dataset(data(folder), split(), 16)
    assert pixels(dataset).shape == (40, 16, 16, 3)
    assert pixels(dataset).dtype == np.uint8
    assert ages_seen(dataset) == dataset.faces["age"].tolist()
    expected = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in dataset.faces["path"]]
    assert dataset.faces["sha256"].tolist() == expected
    assert sorted([*dataset.part("train"), *dataset.part("val")]) == list(range(40))
    assert len(dataset.part("val")) == 8
    assert len(dataset.part("test")) == 0


@pytest.mark.parametrize("chunk", [1, 7, 512])
def test_images_stay_with_their_labels_when_some_are_rejected(
    folder: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "_CHUNK", chunk)
    (folder / "0_0_0_1.png").write_bytes(b"")
    (folder / "17_1_0_1.png").write_bytes(b"text")
    (folder / "39_1_0_1.png").write_bytes((folder / "38_0_0_1.png").read_bytes()[:60])
    (folder / "no label.png").write_bytes(b"")
    seen: list[tuple[int, int]] = []

    def progress(what: str, done: int, total: int) -> None:
        if what == "decoding faces":
            seen.append((done, total))

    dataset = load_dataset(data(folder, max_bad=0.2, cache="memory"), split(), 8, progress)
    assert len(dataset.faces) == 37
    assert ages_seen(dataset) == dataset.faces["age"].tolist()
    assert list(dataset.faces.index) == list(range(37))
    assert dict(zip(dataset.rejected["id"], dataset.rejected["reason"], strict=True)) == {
        "no label.png": "malformed name",
        "0_0_0_1.png": "empty file",
        "17_1_0_1.png": "not an image",
        "39_1_0_1.png": "broken image",
    }
    assert seen[-1] == (39, 39)  # the empty one was found when it was hashed


def test_limit_keeps_order_and_grows(folder: Path) -> None:
    ids = {}
    for limit in (10, 20, 39, 40, 41):
        faces = load_dataset(data(folder, limit=limit), split(), 8).faces
        assert len(faces) == min(limit, 40)
        assert faces["id"].is_monotonic_increasing
        ids[limit] = set(faces["id"])
    assert ids[10] < ids[20] < ids[39] < ids[40]
    other = load_dataset(data(folder, limit=10), split(seed=1), 8).faces
    assert set(other["id"]) != ids[10]


def test_limit_is_drawn_before_any_image_is_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def spy(path: Path) -> bytes:
        opened.append(path)
        return read_bytes(path)

    monkeypatch.setattr(hashes, "read_bytes", spy)
    load_dataset(data(folder, limit=5), split(), 8)
    assert len(opened) == 5


def test_limit_spares_the_drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(seed: int, index: int) -> Any:
        return np.full((128, 128, 3), (seed + index) % 256, dtype=np.uint8)

    monkeypatch.setenv("AGEGENDER_CACHE", str(tmp_path))
    monkeypatch.setattr(synthetic, "draw_face", draw)
    dataset = load_dataset(options("data", "synthetic", n=100, limit=6), split(), 8)
    assert len(list(tmp_path.rglob("*.png"))) == 6
    numbers = dataset.faces["id"].str[-6:].astype(int)
    assert pixels(dataset)[:, 0, 0, 0].tolist() == numbers.tolist()


def test_evaluation_has_one_part(folder: Path) -> None:
    dataset = load_dataset(data(folder, limit=10), None, 8)
    assert len(dataset.part("test")) == 10
    assert dataset.split is None
    other = load_dataset(data(folder, limit=10), None, 8, seed=1)
    assert set(other.faces["id"]) != set(dataset.faces["id"])


def test_copies_share_a_cluster_and_a_part(folder: Path) -> None:
    for i in range(40):
        (folder / f"{i + 50}_0_1_2.png").write_bytes((folder / f"{i}_{i % 2}_0_1.png").read_bytes())
    dataset = load_dataset(data(folder), split("dedup"), 8)
    clusters = dataset.faces.groupby("cluster")
    assert clusters.size().tolist() == [2] * 40
    assert clusters["part"].nunique().tolist() == [1] * 40
    assert dataset.summary()["clusters"] == 40


def test_split_sha256_depends_on_content_alone(folder: Path) -> None:
    first = load_dataset(data(folder), split("dedup"), 8)
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("_1.png", "_2.png")))
    (folder / "part1").mkdir()
    (folder / "3_1_0_2.png").rename(folder / "part1" / "3_1_0_2.png")
    second = load_dataset(data(folder), split("dedup"), 16)
    assert first.split_sha256 == second.split_sha256
    assert load_dataset(data(folder), split("dedup", seed=1), 8).split_sha256 != first.split_sha256


def test_too_much_bad_data_ends_the_run_with_its_table(folder: Path, tmp_path: Path) -> None:
    for i in range(3):
        (folder / f"{i}_{i % 2}_0_1.png").write_bytes(b"text")
    with pytest.raises(UnusableData, match=r"7\.50% .* data\.max_bad=0\.07 \(3 not an image\)") as caught:
        load_dataset(data(folder, max_bad=0.07), split(), 8)
    assert isinstance(caught.value, RunError)
    write_rejected(caught.value.rejected, tmp_path)
    assert pd.read_csv(tmp_path / "rejected.csv")["id"].tolist() == [f"{i}_{i % 2}_0_1.png" for i in range(3)]
    assert len(load_dataset(data(folder, max_bad=0.075), split(), 8).faces) == 37


def test_bad_labels_end_the_run_before_an_image_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "no label.png").touch()
    monkeypatch.setattr(hashes, "read_bytes", None)
    with pytest.raises(UnusableData, match="1 malformed name"):
        load_dataset(data(folder), split(), 8)


def test_a_limit_does_not_make_few_bad_labels_too_many(folder: Path) -> None:
    (folder / "no label.png").touch()
    dataset = load_dataset(data(folder, limit=5, max_bad=0.03), split(), 8)
    assert len(dataset.faces) == 5
    assert len(dataset.rejected) == 1


@pytest.mark.parametrize("content", [b"", b"text"])
def test_no_usable_image_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "3_1_0_1.jpg").write_bytes(content)
    with pytest.raises(UserError, match="none of 1 images can be read"):
        load_dataset(data(tmp_path, max_bad=1.0), split(), 8)


def test_no_usable_label_at_all(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(UserError, match=r"no usable face in 1 rows \(1 malformed name\)"):
        load_dataset(data(tmp_path, max_bad=1.0), split(), 8)


def test_an_array_beyond_memory_is_the_users_to_mend(folder: Path) -> None:
    faces = load_dataset(data(folder), split(), 8).faces
    with pytest.raises(UserError, match=r"lower data\.image_size or data\.limit"):
        load.load_samples(faces, 2**22, "memory", lambda _what, _done, _total: None)


def test_the_run_directory(folder: Path, tmp_path: Path) -> None:
    (folder / "a, b\n.png").touch()
    (folder / os.fsdecode(b"\xe4.png")).touch()  # no UTF-8
    dataset = load_dataset(data(folder, max_bad=0.1), split(), 8)
    dataset.write(tmp_path)
    table = pd.read_csv(tmp_path / "split.csv")
    assert list(table) == ["id", "path", "split", "sha256", "cluster"]
    assert table["split"].tolist() == dataset.faces["part"].tolist()
    lines = "\n".join(sorted(table["sha256"] + "," + table["split"]))
    rejected = pd.read_csv(tmp_path / "rejected.csv")
    assert list(rejected) == ["id", "path", "reason", "detail"]
    assert sorted(rejected["id"]) == ["\\udce4.png", "a, b\n.png"]
    written = json.loads((tmp_path / "dataset.json").read_text())
    assert written.pop("balance")["gender"]["male"]["all"] == 20
    assert written.pop("copies")["photos"] == 0
    assert written.pop("identities") is False
    assert written.pop("leaks") == {"clusters": 0, "faces": {"train": 0, "val": 0}, "examples": []}
    assert list(pd.read_csv(tmp_path / "duplicates.csv"))[:3] == ["cluster", "photo", "id"]
    assert written == {
        "source": "utkface",
        "terms": "non-commercial research only (UTKFace)",
        "notes": ["split=random: the model is selected and scored on the same faces (no test part)"],
        "rows": 42,
        "used": 40,
        "rejected": {"malformed name": 2},
        "parts": {"train": 32, "val": 8},
        "clusters": 0,
        "split": "random",
        "split_how": "scikit-learn's train_test_split of the rows as listed, val 20.0%, random_state 42",
        "near_duplicates": 0.9,
        "conflicts": "keep",
        "split_sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "age_mean": 19.5,
        "age_std": pytest.approx(np.arange(40).std()),
    }
    assert not list(tmp_path.glob(".*"))


def test_ages_may_be_unknown_everywhere(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("path,gender\n" + "a.png,F\na.png,M\n" * 3)
    columns = {**read_yaml(conf_dir() / "data" / "csv.yaml")["columns"], "age": None}
    chosen = options(
        "data", "csv", csv=str(tmp_path / "t.csv"), columns=columns, gender_codes={"F": "female", "M": "male"}
    )
    dataset = load_dataset(chosen, split(), 8)
    dataset.write(tmp_path)
    assert json.loads((tmp_path / "dataset.json").read_text())["age_mean"] is None
    assert "5 rows repeat an earlier id" in dataset.notes[0]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """24 drawn faces, each with a mirrored copy; the copies of the first four say three years more."""
    made = tmp_path / "copied"
    made.mkdir()
    for i in range(24):
        image = Image.fromarray(draw_face(5, i))
        image.save(made / f"{20 + i}_{i % 2}_0_1.png")
        age = 20 + i + (3 if i < 4 else 0)
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(made / f"{age}_{i % 2}_0_2.png")
    return made


def test_copies_stay_together(copied: Path) -> None:
    dataset = load_dataset(data(copied), split("dedup", train=0.6, val=0.2, cal=0.0, test=0.2), 16)
    assert (dataset.faces.groupby("photo").size() == 2).all()
    assert dataset.faces.groupby("photo")["part"].nunique().max() == 1
    assert (dataset.copies.near, dataset.copies.conflicts_age, dataset.copies.exact) == (24, 4, 0)
    blind = load_dataset(data(copied), split("random", near_duplicates=None), 16)
    assert blind.copies.photos == 0
    leaking = load_dataset(data(copied), split("random"), 16)
    summary: Any = leaking.summary()
    assert summary["leaks"]["faces"]["val"] > 0
    assert summary["leaks"]["clusters"] == leaking.faces.groupby("photo")["part"].nunique().eq(2).sum()


@pytest.mark.parametrize(("policy", "left"), [("keep", 48), ("drop", 40), ("first", 44)])
def test_conflicting_labels_are_settled_and_counted(policy: str, left: int, copied: Path) -> None:
    """They are left out by request: `data.max_bad` does not count them."""
    dataset = load_dataset(data(copied, max_bad=0.0), split("random", conflicts=policy), 16)
    assert len(dataset.faces) == len(dataset.samples) == left
    assert dataset.copies.conflicts == 4
    assert (dataset.rejected["reason"] == "conflicting labels").sum() == 48 - left
    shown = dict(zip(dataset.faces["path"], pixels(dataset), strict=True))
    for path in list(shown)[::5]:
        np.testing.assert_array_equal(shown[path], decode_face(read_bytes(Path(path)), 16))


def test_the_split_does_not_depend_on_the_pixels_of_the_run(copied: Path) -> None:
    small, large = (load_dataset(data(copied), split("dedup5"), size) for size in (8, 64))
    assert small.split_sha256 == large.split_sha256


def test_the_table_of_copies_holds_what_was_left_out(copied: Path, tmp_path: Path) -> None:
    dataset = load_dataset(data(copied), split("random", conflicts="first"), 16)
    dataset.write(tmp_path)
    table = pd.read_csv(tmp_path / "duplicates.csv")
    assert len(table) == 48
    assert table["split"].isna().sum() == 4
    assert table["conflict"].sum() == 8


def test_a_refused_split_keeps_the_rejected_rows(copied: Path) -> None:
    for name in list(copied.iterdir())[8:]:
        name.unlink()
    for number in range(20):
        (copied / f"{number}_0_0_9.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"at least .* different faces.*\(20 empty file") as caught:
        load_dataset(data(copied, max_bad=1.0), split("dedup"), 16)
    assert isinstance(caught.value, RefusedData)
    assert (caught.value.rejected["reason"] == "empty file").sum() == 20
