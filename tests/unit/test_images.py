"""Odd image files are read rightly or refused with a reason, without a warning and without a fuss."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agegender.data import images
from agegender.data.images import UnreadableImage, decode_face, read_face, read_rgb

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG whose header may lie."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def palette() -> Image.Image:
    image = Image.new("P", (9, 9), 1)
    image.putpalette([0, 0, 0, *RED])
    return image


def grey16(value: int) -> Image.Image:
    return Image.fromarray(np.full((9, 9), value, np.uint16))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


READABLE: dict[str, tuple[bytes, tuple[int, int, int]]] = {
    "greyscale": (encode(Image.new("L", (9, 9), 70), "PNG"), (70, 70, 70)),
    "one bit": (encode(Image.new("1", (9, 9), 1), "PNG"), WHITE),
    "black half seen": (encode(Image.new("LA", (9, 9), (0, 127)), "PNG"), (128, 128, 128)),
    "red half seen": (encode(Image.new("RGBA", (9, 9), (255, 0, 0, 128)), "PNG"), (255, 127, 127)),
    "unseen webp": (encode(Image.new("RGBA", (9, 9), (255, 0, 0, 0)), "WEBP", lossless=True), WHITE),
    "palette": (encode(palette(), "PNG"), RED),
    "palette with a clear colour": (encode(palette(), "PNG", transparency=1), WHITE),
    "palette with half-clear colours": (encode(palette(), "PNG", transparency=b"\xff\x80"), (255, 127, 127)),
    "gif with a clear colour": (encode(palette(), "GIF", transparency=1), WHITE),
    "rgb with a clear colour": (encode(Image.new("RGB", (9, 9), RED), "PNG", transparency=RED), WHITE),
    "cmyk": (encode(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "TIFF"), RED),
    "16-bit png": (encode(grey16(0x80FF), "PNG"), (128, 128, 128)),
    "16-bit tiff": (encode(grey16(0xFFFF), "TIFF"), WHITE),
    "animated gif": (encode(Image.new("RGB", (9, 9), RED), "GIF", save_all=True,
                            append_images=[Image.new("RGB", (9, 9), BLUE)]), RED),
    "stereo jpeg": (encode(Image.new("RGB", (16, 16), WHITE), "MPO", save_all=True,
                           append_images=[Image.new("RGB", (16, 16), BLUE)]), WHITE),
    "bmp": (encode(Image.new("RGB", (9, 9), BLUE), "BMP"), BLUE),
    "one pixel": (encode(Image.new("RGB", (1, 1), BLUE), "PNG"), BLUE),
    "unknown orientation": (encode(Image.new("RGB", (9, 9), WHITE), "JPEG", exif=exif(77)), WHITE),
}  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_odd_files_are_read_rightly(name: str, tmp_path: Path) -> None:
    data, colour = READABLE[name]
    path = tmp_path / "face.jpg"
    path.write_bytes(data)
    face = read_face(path, 4)
    assert face.shape == (4, 4, 3)
    assert face.dtype == np.uint8
    assert (face == colour).all()
    assert (read_rgb(path)[0, 0] == colour).all()


def half(kind: str) -> bytes:
    data = encode(noise(60, 60), kind)
    return data[: len(data) // 2]


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty file"),
    "text": (b"not a picture", "not an image"),
    "html": (b"<!doctype html><title>404</title>", "not an image"),
    "other format": (encode(noise(9, 9), "PPM"), "not an image"),
    "half a jpeg": (half("JPEG"), "broken image"),
    "half a png": (half("PNG"), "broken image"),
    "half a webp": (half("WEBP"), "broken image"),
    "half a bmp": (half("BMP"), "broken image"),
    "half a gif": (half("GIF"), "broken image"),
    "half a tiff": (half("TIFF"), "broken image"),
    "no pixels": (png(8, 8), "broken image"),
    "zero width": (png(0, 8), "not an image"),
    "zero size": (png(0, 0), "not an image"),
    "just too large": (png(8192, 8193), "image too large"),
    "large enough for Pillow's warning": (png(10_000, 10_000), "image too large"),
    "bomb": (png(60_000, 60_000), "image too large"),
    "long strip": (png(100_000, 1), "image too large"),
    "text bomb": (png(4, 4, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 5_000_000))), "broken image"),
    "float pixels": (encode(Image.new("F", (4, 4)), "TIFF"), "unsupported pixels"),
    "32-bit pixels": (encode(Image.new("I", (4, 4)), "TIFF"), "unsupported pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_files_are_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    data, reason = REFUSED[name]
    path = tmp_path / "face.jpg"
    path.write_bytes(data)
    with pytest.raises(UnreadableImage) as caught:
        read_face(path, 4)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: None, "no such file"),
        (lambda path: path.mkdir(), "not a file"),
        (lambda path: os.mkfifo(path), "not a file"),
    ],
    ids=["missing", "folder", "pipe"],
)
def test_what_is_no_file_is_refused(make: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    make(tmp_path / "face.jpg")
    with pytest.raises(UnreadableImage, match=reason):
        read_face(tmp_path / "face.jpg", 4)


def test_a_huge_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(UnreadableImage, match="file too large"):
        read_face(path, 4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_ends_upright(orientation: int, tmp_path: Path) -> None:
    """Oracle: Pillow's own exif_transpose."""
    from PIL import ImageOps

    data = encode(noise(20, 12), "PNG", exif=exif(orientation))
    (tmp_path / "face.png").write_bytes(data)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(read_rgb(tmp_path / "face.png"), expected)


def test_a_face_is_the_plain_bilinear_resize() -> None:
    image = noise(50, 70)
    expected = image.resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(decode_face(encode(image, "PNG"), 32), np.asarray(expected))


def test_a_photograph_decoded_at_a_fraction_looks_the_same() -> None:
    y, x = np.mgrid[0:900, 0:1200]
    smooth = np.stack([x / 5, y / 4, 128 + 100 * np.sin(x / 40)], axis=2).astype(np.uint8)
    data = encode(Image.fromarray(smooth), "JPEG", quality=95)
    whole = Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR)
    difference = np.abs(decode_face(data, 32).astype(int) - np.asarray(whole))
    assert difference.max() <= 4


def test_threads_leak_no_warning_and_leave_the_filters_alone() -> None:
    bomb = png(10_000, 10_000)  # Image.open warns

    def attempt(_: int) -> str:
        with pytest.raises(UnreadableImage) as caught:
            decode_face(bomb, 8)
        return caught.value.reason

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(attempt, range(400))) == {"image too large"}
        assert list(warnings.filters) == before
        warnings.warn("heard", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["heard"]
