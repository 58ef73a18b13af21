"""Faces drawn by agegender itself, kept as PNG files in the cache folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path

import pandas as pd
from PIL import Image
from pydantic import Field

from agegender.config.options import DataOptions
from agegender.core.errors import RunError, UserError
from agegender.core.files import atomic, cache_dir
from agegender.core.registry import register
from agegender.data.interfaces import Source
from agegender.data.manifest import Manifest, build_manifest
from agegender.data.synthetic.faces import VERSION, draw_face, face_label

WARNING = "a model trained on drawn faces must not be used on photographs"
_IN_PROCESS = 200
"""Starting worker processes costs more than drawing this many faces."""


@register("data", "synthetic")
class Synthetic(Source):
    """Face i depends on (seed, i) alone: more faces keep the earlier ones."""

    class Options(DataOptions):
        n: int = Field(ge=1, le=1_000_000, description="faces")
        seed: int = Field(ge=0, le=2**32 - 1, description="another seed, other faces")

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder = (cache_dir() / "synthetic" / f"v{VERSION}-seed{options.seed}").absolute()

    def read(self) -> Manifest:
        labels = [face_label(self.options.seed, index) for index in range(self.options.n)]
        raw = pd.DataFrame(
            {
                "id": [f"synthetic-{self.options.seed}-{index:06d}" for index in range(self.options.n)],
                "path": [str(self._path(index)) for index in range(self.options.n)],
                "age": [label.age for label in labels],
                "gender": [label.gender for label in labels],
                "group": [label.group for label in labels],
            }
        )
        terms = f"drawn by agegender, MIT; {WARNING}"
        return build_manifest(raw, self.options, terms=terms, notes=(WARNING,), files_exist=False)

    def prepare_files(self, faces: pd.DataFrame) -> None:
        """Draw the faces that the cache does not hold yet; UserError where it cannot be written."""
        missing = [path for path in map(Path, faces["path"]) if not path.exists()]
        if not missing:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._draw(missing)
        except OSError as error:
            raise UserError(
                f"cannot keep drawn faces in {self.folder}: {error.strerror or error}; "
                "AGEGENDER_CACHE names another folder"
            ) from error
        except BrokenProcessPool as error:
            raise RunError(
                "a process that draws faces was killed (out of memory?); the faces drawn so far are kept"
            ) from error

    def _draw(self, paths: Sequence[Path]) -> None:
        seeds = [self.options.seed] * len(paths)
        if len(paths) <= _IN_PROCESS:
            for seed, path in zip(seeds, paths, strict=True):
                draw_file(seed, path)
            return
        context = get_context("spawn")
        with ProcessPoolExecutor(os.cpu_count(), context, initializer=_end_with_parent) as pool:
            for _ in pool.map(draw_file, seeds, paths, chunksize=50):
                pass

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.png"


def _end_with_parent() -> None:
    """A worker must not outlive a parent that was killed."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def draw_file(seed: int, path: Path) -> None:
    """Draw the face that the file's name numbers; the file is whole or not there."""
    face_HWC = draw_face(seed, int(path.stem))
    with atomic(path) as temporary:
        Image.fromarray(face_HWC).save(temporary, format="PNG", compress_level=1)
