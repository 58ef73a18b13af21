"""Decoded faces on disk, in memory or not kept at all: the same pixels, and nothing half done."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import PIL
import pytest
from PIL import Image

from agegender.core.errors import RunError, UserError
from agegender.core.files import cache_dir
from agegender.core.types import Interpolation
from agegender.data.images import read_bytes, read_face
from agegender.data.samples import hashes, store
from agegender.data.samples.load import Loaded, load_samples
from agegender.data.samples.mapped import MappedRows
from agegender.data.samples.store import bytes_needed

COUNT, SIDE = 30, 12


def silent(_what: str, _done: int, _total: int) -> None:
    """No progress."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGEGENDER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def faces(tmp_path: Path) -> pd.DataFrame:
    """Thirty noisy images, of which number 3 is text, 7 is empty, 11 is cut short and 13 is missing."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(COUNT):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "3.png").write_bytes(b"text")
    (folder / "7.png").write_bytes(b"")
    (folder / "11.png").write_bytes((folder / "10.png").read_bytes()[:80])
    (folder / "13.png").unlink()
    names = [f"{i}.png" for i in range(COUNT)]
    return pd.DataFrame({"id": names, "path": [str(folder / name) for name in names]}, dtype=object)


def pixels(loaded: Loaded) -> npt.NDArray[np.uint8]:
    return loaded.samples[np.arange(len(loaded.samples))]


@pytest.mark.parametrize("cache", ["disk", "memory", "none"])
def test_every_kind_gives_the_same_pixels(cache: str, faces: pd.DataFrame, own_cache: Path) -> None:
    for _ in range(2):  # made, then found
        loaded = load_samples(faces, SIDE, cache, silent)
        assert len(loaded.faces) == len(loaded.samples) == COUNT - 4
        expected = np.stack([read_face(Path(path), SIDE) for path in loaded.faces["path"]])
        np.testing.assert_array_equal(pixels(loaded), expected)
        assert dict(zip(loaded.rejected["id"], loaded.rejected["reason"], strict=True)) == {
            "3.png": "not an image",
            "7.png": "empty file",
            "11.png": "broken image",
            "13.png": "no such file",
        }
    kept = loaded.samples.keep(np.array([4, 2, 9])).keep(np.array([False, True, True]))
    np.testing.assert_array_equal(kept[np.array([1, 0])], expected[[9, 2]])
    assert (own_cache / "samples").exists() == (cache == "disk")


def test_a_store_is_used_again(faces: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither decoded nor, with size and time unchanged, read again: only unreadable files are retried."""
    first = pixels(load_samples(faces, SIDE, "disk", silent))
    monkeypatch.setattr(store, "decode_chunks", pytest.fail)
    opened: list[str] = []

    def spy(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(hashes, "read_bytes", spy)
    np.testing.assert_array_equal(pixels(load_samples(faces, SIDE, "disk", silent)), first)
    assert sorted(opened) == ["13.png", "7.png"]


def test_other_contents_other_sizes_and_other_versions_have_their_own(
    faces: pd.DataFrame, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_samples(faces, SIDE, "disk", silent)
    load_samples(faces, SIDE + 1, "disk", silent)
    monkeypatch.setattr(store, "VERSION", 99)
    load_samples(faces, SIDE, "disk", silent)
    monkeypatch.undo()
    os.environ["AGEGENDER_CACHE"] = str(own_cache)
    Image.new("RGB", (9, 9), "red").save(faces["path"][5])
    loaded = load_samples(faces, SIDE, "disk", silent)
    assert (pixels(loaded)[4] == [255, 0, 0]).all()  # row 5, behind one that is rejected
    assert len(list((own_cache / "samples").iterdir())) == 4


def test_renamed_files_are_hashed_but_not_decoded(
    faces: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pixels(load_samples(faces, SIDE, "disk", silent))
    folder = Path(faces["path"][0]).parent
    moved = folder.rename(folder.with_name("moved"))
    faces["path"] = [str(moved / name) for name in faces["id"]]
    monkeypatch.setattr(store, "decode_chunks", pytest.fail)
    np.testing.assert_array_equal(pixels(load_samples(faces, SIDE, "disk", silent)), first)


BUILD = """
import os, sys
import numpy as np
import pandas as pd
from agegender.data.samples import store
from agegender.data.samples.load import load_samples
def kill(paths, rows, size, progress, interpolation):
    yield {0: np.ones((size, size, 3), np.uint8)}, {}
    os.kill(os.getpid(), 9)
store.decode_chunks = kill
paths = sys.argv[1:]
load_samples(pd.DataFrame({"id": paths, "path": paths}), 12, "disk", lambda *_: None)
"""


def test_a_killed_build_leaves_no_half_store(faces: pd.DataFrame, own_cache: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", BUILD, *faces["path"]], env=os.environ, check=False)
    assert killed.returncode == -9
    (left,) = (own_cache / "samples").iterdir()
    assert left.name.endswith(".tmp")
    loaded = load_samples(faces, SIDE, "disk", silent)
    assert (pixels(loaded)[0] == read_face(Path(faces["path"][0]), SIDE)).all()
    assert not left.exists()
    assert len(list((own_cache / "samples").iterdir())) == 1


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def change_a_pixel(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 255]))


def write_array(file: Path, array: npt.NDArray[Any]) -> None:
    with file.open("wb") as opened:
        np.save(opened, array)


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "cut short": ("images.npy", cut),
    "empty": ("images.npy", lambda file: file.write_bytes(b"")),
    "text": ("images.npy", lambda file: file.write_text("faces")),
    "archive": ("images.npy", lambda file: file.write_bytes(b"PK\3\4 an archive")),
    "missing": ("images.npy", Path.unlink),
    "other pixels": ("images.npy", change_a_pixel),
    "other numbers": ("images.npy", lambda file: write_array(file, np.load(file).astype(np.int16))),
    "other shape": ("images.npy", lambda file: write_array(file, np.load(file)[1:])),
    "sums of another kind": ("crc32.npy", lambda file: write_array(file, np.load(file).astype(np.int64))),
    "sums missing": ("crc32.npy", Path.unlink),
    "reasons cut short": ("unreadable.json", lambda file: file.write_text("{")),
    "reasons of another kind": ("unreadable.json", lambda file: file.write_text("[3, 7]")),
    "reasons of another shape": ("unreadable.json", lambda file: file.write_text('{"3": 7}')),
    "reasons without details": ("unreadable.json", lambda file: file.write_text('{"3": []}')),
    "reasons missing": ("unreadable.json", Path.unlink),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_is_named_and_left(damage: str, faces: pd.DataFrame, own_cache: Path) -> None:
    load_samples(faces, SIDE, "disk", silent)
    (place,) = (own_cache / "samples").iterdir()
    name, spoil = DAMAGE[damage]
    spoil(place / name)
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    with pytest.raises(UserError, match=r"are damaged: delete that folder") as caught:
        load_samples(faces, SIDE, "disk", silent)
    assert str(place) in str(caught.value)
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before
    shutil.rmtree(place)
    assert len(load_samples(faces, SIDE, "disk", silent).faces) == COUNT - 4


def test_a_file_where_a_store_belongs(faces: pd.DataFrame, own_cache: Path) -> None:
    load_samples(faces, SIDE, "disk", silent)
    (place,) = (own_cache / "samples").iterdir()
    shutil.rmtree(place)
    place.write_text("mine")
    with pytest.raises(UserError, match=r"are damaged: delete"):
        load_samples(faces, SIDE, "disk", silent)
    assert place.read_text() == "mine"


def test_a_disk_that_fills_up_meanwhile(faces: pd.DataFrame, own_cache: Path) -> None:
    """The kernel refuses to write on: an error that names the folder, and nothing is left of the store."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_needed(COUNT, SIDE) // 2, limits[1]))
    try:
        with pytest.raises(UserError, match=r"decoded faces in .*samples: File too large; AGEGENDER_CACHE"):
            load_samples(faces, SIDE, "disk", silent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((own_cache / "samples").iterdir())


def test_a_disk_without_room(faces: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(UserError, match=r"GiB in .*samples, which has 0.0 GiB left.*data.cache=memory"):
        load_samples(faces, SIDE, "disk", silent)
    assert len(load_samples(faces, SIDE, "none", silent).faces) == COUNT - 4


def test_a_folder_that_cannot_be_written(faces: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGEGENDER_CACHE", "/proc/nowhere")
    with pytest.raises(UserError, match=r"decoded faces in /proc/nowhere/samples.*AGEGENDER_CACHE"):
        load_samples(faces, SIDE, "disk", silent)
    assert len(load_samples(faces, SIDE, "memory", silent).faces) == COUNT - 4


def test_a_file_that_breaks_during_the_run(faces: pd.DataFrame) -> None:
    loaded = load_samples(faces, SIDE, "none", silent)
    Path(loaded.faces["path"][2]).write_bytes(b"gone")
    with pytest.raises(RunError, match=r"2.png: not an image.*could be read when the run began"):
        loaded.samples[np.array([1, 2])]
    assert loaded.samples[np.array([1])].shape == (1, SIDE, SIDE, 3)


def test_a_damaged_list_of_hashes_is_made_anew(faces: pd.DataFrame) -> None:
    first = hashes.content_hashes(faces["path"].tolist(), lambda _done, _total: None)
    (kept,) = (cache_dir() / "hashes").iterdir()
    kept.write_bytes(kept.read_bytes()[:-20])
    again = hashes.content_hashes(faces["path"].tolist(), lambda _done, _total: None)
    assert [str(each) for each in first] == [str(each) for each in again]


def test_a_store_larger_than_what_is_read_stays_on_disk(tmp_path: Path) -> None:
    """Samples of a store are copied a batch at a time: the whole never is."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    faces = pd.DataFrame({"id": [str(i) for i in range(2000)], "path": str(tmp_path / "a.png")})
    loaded = load_samples(faces, 64, "disk", silent)
    source = loaded.samples._source
    assert isinstance(source, MappedRows)
    assert not source._array.flags.writeable
    batch = loaded.samples[np.arange(32)]
    assert not np.shares_memory(batch, source._array)


@pytest.mark.parametrize("shape", [(5, 7), (400, 3), (7, 30, 50, 3)])
def test_mapped_rows_are_those_of_the_array(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Rows that lie within a page, across pages, at the file's end; twice, in any order, or none."""
    array_NK = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", array_NK)
    mapped = MappedRows(tmp_path / "a.npy", shape, np.uint8)
    for rows in (np.arange(shape[0]), np.array([shape[0] - 1, 0, 2, 2]), np.array([], np.intp)):
        found = mapped[rows]
        np.testing.assert_array_equal(found, array_NK[rows])
        assert type(found) is np.ndarray


def test_the_kernel_is_told_what_will_be_read(tmp_path: Path) -> None:
    """The pages of the face that is asked for, from first to last."""
    if not hasattr(mmap, "MADV_WILLNEED"):
        pytest.skip("this system cannot be told")
    shape = (3, 64, 64, 3)
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    mapped = MappedRows(tmp_path / "a.npy", shape, np.uint8)
    asked: list[tuple[int, ...]] = []

    class Spy:
        def madvise(self, *advice: int) -> None:
            asked.append(advice)

    mapped._map = Spy()  # type: ignore[assignment]
    mapped[np.array([2])]
    first = (tmp_path / "a.npy").stat().st_size - 64 * 64 * 3
    ((advice, start, length),) = asked
    assert advice == mmap.MADV_WILLNEED
    assert start % mmap.PAGESIZE == 0
    assert start <= first < start + mmap.PAGESIZE
    assert start + length == first + 64 * 64 * 3


@pytest.mark.parametrize("cache", ["disk", "memory", "none"])
def test_faces_are_resized_as_asked(cache: str, faces: pd.DataFrame, own_cache: Path) -> None:
    ways: dict[Interpolation, Image.Resampling] = {
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
    }
    for interpolation, resampling in ways.items():
        loaded = load_samples(faces, SIDE, cache, silent, interpolation)
        for path, image_HWC in zip(loaded.faces["path"], pixels(loaded), strict=True):
            assert np.array_equal(image_HWC, np.array(Image.open(path).resize((SIDE, SIDE), resampling)))
    if cache == "disk":  # a store each; that of older versions, which knew one way, is still used
        names = sorted(path.name.rpartition("-")[0] for path in (own_cache / "samples").iterdir())
        assert names == [f"v1-pillow{PIL.__version__}-{SIDE}px{kind}" for kind in ("", "-bicubic")]
