"""Copies of a photo are found, strangers are not, and a million hashes are no trouble."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from scipy.fft import dctn, idctn

from agegender.core.files import cache_dir
from agegender.data.duplicates import fingerprint, near
from agegender.data.duplicates.clusters import NEAR_DUPLICATES, add_clusters
from agegender.data.duplicates.neighbours import MAX_BITS, Neighbours
from agegender.data.images import decode_face
from agegender.data.synthetic.faces import draw_face

COUNT = 40
MIRROR = Image.Transpose.FLIP_LEFT_RIGHT


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def crop(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "saved again": lambda image: jpeg(image, 30),
    "half the size": lambda image: jpeg(image.resize((image.width // 2, image.height // 2))),
    "brightened": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.3)),
    "cropped by 5 % at every side": lambda image: jpeg(crop(image, 0.05, 0.05, 0.05, 0.05)),
    "cropped by 5 % at the left": lambda image: jpeg(crop(image, 0.05, 0, 0, 0)),
    "cropped by 5 % at a corner": lambda image: jpeg(crop(image, 0, 0.05, 0.05, 0)),
    "mirrored": lambda image: jpeg(image.transpose(MIRROR)),
    "mirrored and cropped": lambda image: jpeg(crop(image.transpose(MIRROR), 0.025, 0.025, 0.025, 0.025)),
    "greyscale": lambda image: jpeg(image.convert("L")),
}


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    return [Image.fromarray(draw_face(7, index)) for index in range(COUNT)]


def grey(data: bytes) -> npt.NDArray[np.uint8]:
    return fingerprint.to_grey(decode_face(data, fingerprint.SIDE))


def found(greys: list[npt.NDArray[np.uint8]]) -> set[tuple[int, int]]:
    pairs = near.pairs_of(np.stack(greys)).from_correlation(NEAR_DUPLICATES)
    assert (pairs.first < pairs.second).all()
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_and_nothing_else(change: str, photos: list[Image.Image]) -> None:
    originals = [grey(jpeg(photo, 95)) for photo in photos]
    copies = [grey(CHANGES[change](photo)) for photo in photos]
    assert found(originals + copies) == {(row, COUNT + row) for row in range(COUNT)}


def test_strangers_are_no_copies() -> None:
    assert not found([grey(jpeg(Image.fromarray(draw_face(1, index)))) for index in range(300)])


def test_images_without_features_match_nothing() -> None:
    rng = np.random.default_rng(0)
    flat = [np.full((32, 32), level, np.uint8) for level in (0, 0, 90, 255)]
    noisy = [rng.integers(99, 101, (32, 32)).astype(np.uint8) for _ in range(4)]
    assert not found(flat + noisy)
    assert not found([flat[0]])
    assert len(near.pairs_of(np.empty((0, 32, 32), np.uint8)).first) == 0


def test_the_correlation_is_that_of_sharpened_images() -> None:
    """Oracle: scipy's transform of the whole image, weighted by frequency and taken back to pixels."""
    greys = np.stack([fingerprint.to_grey(draw_face(0, index)[::4, ::4]) for index in range(5)])
    down, across = np.meshgrid(np.arange(32), np.arange(32), indexing="ij")
    radius = np.hypot(down, across)
    kept = (down + across >= 2) & (radius <= 16) & (down < 16) & (across < 16)
    sharp = [idctn(dctn(grey.astype(float), norm="ortho") * radius * kept, norm="ortho") for grey in greys]
    units = fingerprint.unit(fingerprint.frequencies(greys))
    np.testing.assert_allclose(units @ units.T, np.corrcoef([image.ravel() for image in sharp]), atol=1e-4)


def test_a_view_is_the_crop_and_the_mirror_image() -> None:
    """Oracle: frequencies of an image that Pillow cropped or mirrored."""
    image = Image.fromarray(draw_face(0, 3)).convert("L").resize((320, 320))

    def small(picture: Image.Image) -> npt.NDArray[np.uint8]:
        return np.asarray(picture.resize((32, 32), Image.Resampling.BOX))[None]

    whole = fingerprint.frequencies(small(image))
    mirrored = fingerprint.frequencies(small(image.transpose(MIRROR)))
    np.testing.assert_allclose(whole * fingerprint.MIRROR, mirrored, atol=0.01)
    (cropped,) = fingerprint.unit(fingerprint.frequencies(small(image), ("low", "high")))
    (oracle,) = fingerprint.unit(fingerprint.frequencies(small(crop(image, 0, 0.05, 0.05, 0))))
    assert cropped @ oracle > 0.99


def test_neighbours_are_those_of_an_exhaustive_search() -> None:
    """Oracle: all pairs. Hashes a few bits apart are all found, none beyond the limit is."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 2000, dtype=np.uint64)
    for row in range(500):  # copies with 0 to 4 bits changed
        for bit in rng.permutation(64)[: row % 5]:
            hashes[row] ^= np.uint64(1) << np.uint64(bit)
        hashes[1000 + row] = hashes[row]
        for bit in rng.permutation(64)[: row % 5]:
            hashes[1000 + row] ^= np.uint64(1) << np.uint64(bit)
    apart = np.bitwise_count(hashes[:, None] ^ hashes)
    query, close = Neighbours(hashes).close_to(hashes)
    pairs = set(zip(query.tolist(), close.tolist(), strict=True))
    assert len(pairs) == len(query)
    assert all(apart[pair] <= MAX_BITS and pair[0] != pair[1] for pair in pairs)
    copies = {(row, 1000 + row) for row in range(500)}
    assert len(copies - pairs) == 0


@pytest.mark.parametrize("count", [20_000])
def test_equal_hashes_cost_no_more_than_different_ones(count: int) -> None:
    """All hashes equal is the worst case of a search by buckets: n^2 pairs."""
    query, close = Neighbours(np.zeros(count, np.uint64)).close_to(np.zeros(count, np.uint64))
    assert 0 < len(query) <= 40 * count
    assert (query != close).all()


@pytest.fixture
def files(tmp_path: Path, photos: list[Image.Image]) -> pd.DataFrame:
    """Three photos: one once, one with an identical and a mirrored file, one with a smaller file."""
    contents = {
        "a": jpeg(photos[0]),
        "b": jpeg(photos[1]),
        "b again": jpeg(photos[1]),
        "b mirrored": jpeg(photos[1].transpose(MIRROR)),
        "c": jpeg(photos[2]),
        "c small": jpeg(photos[2].resize((64, 64))),
    }
    for name, data in contents.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    faces = pd.DataFrame({"path": [str(tmp_path / f"{name}.jpg") for name in contents]})
    faces["sha256"] = [hashlib.sha256(data).hexdigest() for data in contents.values()]
    faces["identity"] = pd.Series(["one", None, None, "one", None, None], dtype=object)
    return faces


def test_photos_and_clusters(files: pd.DataFrame) -> None:
    add_clusters(files, NEAR_DUPLICATES)
    assert files["photo"].tolist() == [0, 1, 1, 1, 2, 2]
    assert files["cluster"].tolist() == [0, 0, 0, 0, 1, 1]  # a and the mirrored b are one identity
    add_clusters(files, None)
    assert files["photo"].tolist() == [0, 1, 1, 2, 3, 4]
    assert files["cluster"].tolist() == [0, 1, 1, 0, 2, 3]


def test_a_second_search_opens_no_file(files: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    first = near.near_pairs(files["path"].tolist(), files["sha256"])
    monkeypatch.setattr(near, "find", pytest.fail)
    order = [5, 2, 0, 3, 1, 4]  # another order of the same contents, under names that do not exist
    again = near.near_pairs(["gone"] * 6, files["sha256"].iloc[order])
    assert len(first.first) == len(again.first) == 2
    contents = [
        {frozenset((sha[a], sha[b])) for a, b in zip(pairs.first, pairs.second, strict=True)}
        for pairs, sha in (
            (first, files["sha256"].to_numpy()),
            (again, files["sha256"].to_numpy()[order]),
        )
    ]
    assert contents[0] == contents[1]


def test_a_damaged_or_unwritable_cache_is_no_obstacle(
    files: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGEGENDER_CACHE", str(tmp_path / "cache"))
    near.near_pairs(files["path"].tolist(), files["sha256"])
    (kept,) = (cache_dir() / "duplicates").iterdir()
    whole = kept.read_bytes()
    for place in (0, 4, 8, 30, 60, 200):
        kept.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        assert len(near.near_pairs(files["path"].tolist(), files["sha256"]).first) == 2
    for damage in (whole[:50], b""):
        kept.write_bytes(damage)
        assert len(near.near_pairs(files["path"].tolist(), files["sha256"]).first) == 2
    np.savez(kept, first=np.array([0]), second=np.array([9]), correlation=np.array([0.9]))
    assert len(near.near_pairs(files["path"].tolist(), files["sha256"]).first) == 2
    monkeypatch.setenv("AGEGENDER_CACHE", "/proc/nowhere")
    assert len(near.near_pairs(files["path"].tolist(), files["sha256"]).first) == 2


def test_a_file_that_is_gone_has_no_copy(files: pd.DataFrame) -> None:
    Path(files["path"][5]).unlink()
    pairs, unread = near.find(files["path"].tolist()[3:])
    assert len(pairs.first) == 0
    assert unread == [files["path"][5]]


def test_what_a_lost_disk_hides_is_not_remembered(
    files: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGEGENDER_CACHE", str(tmp_path / "cache"))
    paths = files["path"].tolist()
    assert len(near.near_pairs(["gone"] * 6, files["sha256"]).first) == 0
    assert len(near.near_pairs(paths, files["sha256"]).first) == 2
