"""Image files to arrays: every odd file is either read rightly or refused with a reason."""

from __future__ import annotations

import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from agegender.core.types import Interpolation

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Pillow's names; its JPEG reader takes MPO, the JPEGs of stereo cameras, too."""
MAX_BYTES = 256 * 2**20
MAX_PIXELS = 64 * 2**20
MAX_SIDE = 2**16

_RESAMPLING: dict[Interpolation, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
_BIG_PIXELS = 16 * 2**20
_big_images = threading.Lock()
"""Big images are decoded one at a time, or as many as there are threads would be in memory at once."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {  # EXIF orientation: what turns the stored image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(Exception):  # noqa: N818
    """A file that is no usable image: `reason` in a few fixed words, `detail` about this file."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """The image upright, as H x W x 3; transparency over white. Raises UnreadableImage."""
    with _decoding(read_bytes(path)) as image:
        return np.array(_to_rgb(image))


def read_face(path: Path, size: int, interpolation: Interpolation = "bilinear") -> npt.NDArray[np.uint8]:
    """The image upright, squeezed to size x size x 3 as in the published work. Raises UnreadableImage."""
    return decode_face(read_bytes(path), size, interpolation)


def decode_face(data: bytes, size: int, interpolation: Interpolation = "bilinear") -> npt.NDArray[np.uint8]:
    """`read_face` for the bytes of a file; any thread may call it."""
    with _decoding(data, size) as image:
        return np.array(_to_rgb(image).resize((size, size), _RESAMPLING[interpolation]))


def read_bytes(path: Path) -> bytes:
    """The bytes of an ordinary file of at most MAX_BYTES. Raises UnreadableImage."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without end
            raise UnreadableImage("not a file")
        if status.st_size > MAX_BYTES:
            raise UnreadableImage("file too large", f"{status.st_size} bytes, at most {MAX_BYTES}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableImage("no such file") from None
    except (OSError, ValueError) as error:
        raise UnreadableImage("file cannot be read", str(error)) from error
    if not data:
        raise UnreadableImage("empty file")
    return data


@contextmanager
def _decoding(data: bytes, size: int | None = None) -> Iterator[Image.Image]:
    """The loaded image; whatever Pillow raises here or in the block becomes UnreadableImage.

    With `size`, a JPEG that is more than 8 times larger is decoded at a fraction of its size: the
    antialiased resize that follows hardly sees a difference, and a photograph costs a tenth of the time.
    """
    try:
        with _no_warnings(), Image.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size  # never 0: Pillow takes such a file for no image
            if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
                raise UnreadableImage("image too large", f"{width} x {height} pixels")
            if size is not None:
                image.draft(None, (4 * size, 4 * size))
            with _turn(width * height):
                image.load()
                yield image
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage("not an image", f"no {', '.join(FORMATS)} file") from None
    except Image.DecompressionBombError as error:
        raise UnreadableImage("image too large", str(error)) from error
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
        raise UnreadableImage("broken image", f"{type(error).__name__}: {error}") from error


def _turn(pixels: int) -> AbstractContextManager[object]:
    return _big_images if pixels > _BIG_PIXELS else nullcontext()


def _to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, upright."""
    orientation = _orientation(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):  # 32 bit: nothing in the file says which value is white
        raise UnreadableImage("unsupported pixels", f"Pillow mode {image.mode}")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = _to_rgba(image)
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    if image.mode != "RGB":
        image = image.convert("RGB")
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_rgba(image: Image.Image) -> Image.Image:
    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    return (image.convert(straight) if straight else image).convert("RGBA")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a broken EXIF block in front of a good image: take it as upright
        return 1


_quiet_lock = threading.Lock()
_quiet_users = 0
_quiet_filters: warnings.catch_warnings[None] | None = None


@contextmanager
def _no_warnings() -> Iterator[None]:
    """No warning leaves the block, in any number of threads.

    `warnings.catch_warnings` restores what it found: when two threads overlap, one restores the other's
    filters. So the first to enter silences, and the last to leave restores.
    """
    global _quiet_users, _quiet_filters
    with _quiet_lock:
        _quiet_users += 1
        if _quiet_users == 1:
            _quiet_filters = warnings.catch_warnings(action="ignore")
            _quiet_filters.__enter__()
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0 and _quiet_filters is not None:
                _quiet_filters.__exit__(None, None, None)
                _quiet_filters = None
