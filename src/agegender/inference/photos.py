"""What to predict: a file, a folder, or the rows of a CSV; and reading it, a chunk at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from agegender.core.errors import UserError, unknown
from agegender.core.types import InputSpec
from agegender.data.images import UnreadableImage, read_face
from agegender.data.table import read_table

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""What a folder is searched for."""

_PATH_COLUMNS = ("path", "full_path", "file")
_CHUNK = 512


def list_photos(source: Path, root: Path | None, path_column: str | None) -> pd.DataFrame:
    """`id` and `path` of everything to predict.

    A folder is searched with its subfolders; a CSV keeps its `id` column where it has one. Raises
    UserError when nothing is there or the CSV has no column of paths.
    """
    if source.is_dir():
        files = sorted(file for file in source.rglob("*") if _is_photo(file))
        if not files:
            raise UserError(f"input={source}: no image in this folder ({', '.join(sorted(SUFFIXES))})")
        return pd.DataFrame(
            {"id": [str(f.relative_to(source)) for f in files], "path": [str(f) for f in files]}
        )
    if source.suffix.lower() == ".csv":
        return _from_csv(source, root or source.parent, path_column)
    return pd.DataFrame({"id": [source.name], "path": [str(source)]})


def _is_photo(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def _from_csv(source: Path, root: Path, path_column: str | None) -> pd.DataFrame:
    rows = read_table(source)
    wanted = [path_column] if path_column else list(_PATH_COLUMNS)
    found = next((name for name in wanted if name in rows.columns), None)
    if found is None:
        raise UserError(f"input={source}: {unknown('column', wanted[0], rows.columns)}; set path_column=NAME")
    ids = rows["id"] if "id" in rows.columns else rows[found]
    return pd.DataFrame({"id": ids, "path": [str(root / path) for path in rows[found]]})


def read_chunks(
    photos: pd.DataFrame, input_spec: InputSpec
) -> Iterator[tuple[pd.DataFrame, np.ndarray, pd.DataFrame]]:
    """Readable rows, their images (N, size, size, 3), and the rejected rows with reasons, chunk by chunk."""
    size = input_spec.size

    def read(path: str) -> np.ndarray | UnreadableImage:
        try:
            return read_face(Path(path), size, input_spec.interpolation)
        except UnreadableImage as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(photos), _CHUNK):
            chunk = photos.iloc[start : start + _CHUNK]
            results = list(pool.map(read, chunk["path"]))
            is_bad = np.array([isinstance(result, UnreadableImage) for result in results])
            rejected = chunk[is_bad].assign(
                reason=[str(r) for r in results if isinstance(r, UnreadableImage)]
            )
            images = [result for result in results if isinstance(result, np.ndarray)]
            stacked = np.stack(images) if images else np.empty((0, size, size, 3), np.uint8)
            yield chunk[~is_bad], stacked, rejected
