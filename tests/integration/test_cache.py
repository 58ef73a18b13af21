"""A cache folder that is damaged, of another version, closed or full: a line or two, and nothing deleted."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from agegender.config.entry import run_entry
from agegender.data.samples import store

from .conftest import ENTRIES, Call, Called

FACES = 40
Train = Callable[..., Called]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of a second on photographs of noise."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(FACES):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(FACES)], "age": range(1, FACES + 1)})
    table.assign(gender=table["age"] % 2).to_csv(folder / "faces.csv", index=False)
    return [
        "data=csv",
        f"data.csv={folder / 'faces.csv'}",
        "data.gender_codes={0:male,1:female}",
        "data.image_size=32",
        "model=scratch_cnn",
        "evaluation.bootstrap=20",
        "schedule.phases.all.epochs=1",
    ]


@pytest.fixture(scope="module")
def filled(settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder that such a run leaves; tests copy it."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGEGENDER_CACHE", str(folder / "cache"))
        assert run_entry(ENTRIES["train"], [*settings, f"hydra.run.dir={folder / 'run'}"]) == 0
    return folder / "cache"


@pytest.fixture
def train(settings: list[str], call: Call, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """`train(cache, "seed=1", ...)`: the run with that cache folder."""

    def run(cache: Path, *arguments: str) -> Called:
        monkeypatch.setenv("AGEGENDER_CACHE", str(cache))
        return call("train", *settings, f"hydra.run.dir={workdir / 'run'}", *arguments)

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def assert_refused(done: Called, *words: str) -> None:
    assert done.code == 2, done.err
    assert len(done.err.strip().splitlines()) <= 2, done.err
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("images.npy", lambda file: file.write_bytes(file.read_bytes()[:-1])),
        ("images.npy", lambda file: np.save(file, np.load(file).astype(np.float32))),
        ("crc32.npy", Path.unlink),
        ("unreadable.json", lambda file: file.write_text("{")),
    ],
    ids=["cut short", "floats", "missing", "broken JSON"],
)
def test_a_damaged_store(
    name: str, spoil: Callable[[Path], object], filled: Path, train: Train, workdir: Path
) -> None:
    cache = shutil.copytree(filled, workdir / "cache")
    (place,) = (cache / "samples").iterdir()
    spoil(place / name)
    before = contents(cache)
    assert_refused(train(cache), f"decoded faces in {place} are damaged", "delete that folder")
    assert contents(cache) == before


def test_what_the_message_says_helps(filled: Path, train: Train, workdir: Path) -> None:
    cache = shutil.copytree(filled, workdir / "cache")
    (place,) = (cache / "samples").iterdir()
    (place / "images.npy").unlink()
    assert train(cache).code == 2
    shutil.rmtree(place)
    assert train(cache).code == 0
    assert list((cache / "samples").iterdir()) == [place]


@pytest.mark.parametrize("whose", ["VERSION", "PIL.__version__"])
def test_a_store_of_another_version_is_left_alone(
    whose: str, filled: Path, train: Train, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = shutil.copytree(filled, workdir / "cache")
    (old,) = (cache / "samples").iterdir()
    before = contents(old)
    monkeypatch.setattr(f"{store.__name__}.{whose}", "99")
    done = train(cache)
    assert done.code == 0, done.err
    (new,) = set((cache / "samples").iterdir()) - {old}
    assert "99" in new.name
    assert contents(old) == before


def test_a_file_in_place_of_the_folder(train: Train, workdir: Path) -> None:
    cache = workdir / "cache"
    cache.write_text("mine")
    assert_refused(train(cache), f"decoded faces in {cache}", "AGEGENDER_CACHE", "data.cache=memory")
    assert cache.read_text() == "mine"
    assert train(cache, "data.cache=memory").code == 0


def test_a_folder_without_permission(train: Train) -> None:
    cache = Path("/proc/agegender")  # closed to root as well
    assert_refused(train(cache), f"cannot keep decoded faces in {cache}", "AGEGENDER_CACHE")


def test_a_disk_without_room(train: Train, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    assert_refused(train(workdir / "cache"), "40 faces at 32 px need", "0.0 GiB left", "data.cache=memory")


def test_a_disk_that_fills_up_meanwhile(train: Train, workdir: Path) -> None:
    """Here the kernel refuses files of more than half the store."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (store.bytes_needed(FACES, 32) // 2, limits[1]))
    try:
        done = train(workdir / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_refused(
        done, f"decoded faces in {workdir / 'cache' / 'samples'}: File too large", "AGEGENDER_CACHE"
    )
    assert not list((workdir / "cache" / "samples").iterdir())
