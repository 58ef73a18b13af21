"""What many faces cost, measured in a process of its own; `measure_scale.py` runs it.

python scripts/scale_stages.py train RESULT SETTING ...
python scripts/scale_stages.py reads RESULT STORE
python scripts/scale_stages.py copies RESULT ROWS

`train` reads the faces and takes a few steps as agegender-train does, `reads` copies faces of a store at
random, `copies` looks for near-duplicates among made images. RESULT is a JSON file: seconds and memory.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from benchmark_engine import Stopwatch, built, composed
from benchmark_measured import warm

from agegender.core.files import write_json
from agegender.core.seeding import stream
from agegender.data import dataset
from agegender.data.dataset import Dataset
from agegender.data.duplicates import fingerprint, near
from agegender.data.samples import load
from agegender.data.samples.mapped import MappedRows
from agegender.data.sources.csv import CSV
from agegender.data.splits.dedup import DedupSplit
from agegender.engine.fit import Fit
from agegender.engine.run_directory import RunDirectory, running

START = "start, network, tables, all else"
STAGES: tuple[tuple[object, str, str], ...] = (
    (CSV, "read", "manifest read and checked"),
    (load, "content_hashes", "content hashes"),
    (load, "open_store", "store made or opened"),
    (dataset, "add_clusters", "identical files"),
    (DedupSplit, "assign", "split"),
    (Dataset, "write", "split.csv and such written"),
)
STEPS, COPIES = "training steps", "near-duplicates"
VAL_FACES = 512
"""Validation is bounded: it costs the same a face, whatever their number."""
READ_SECONDS, READ_FACES = 15, 32
_EVERY = 0.02


@dataclass
class Stage:
    """Seconds spent, by the clock and by the processors, and the most memory seen, in bytes."""

    name: str
    seconds: float = 0.0
    cpu: float = 0.0
    anon: int = 0
    file: int = 0


@dataclass
class Found:
    """What a process measured."""

    stages: list[Stage]
    start: int
    """Anonymous memory before the first stage: the program and its libraries."""
    peak: int
    """VmHWM, pages of mapped files included."""
    threads: int
    torch: str
    images_per_second: float | None = None
    """Trained, or read at random."""

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


class Watch:
    """Which stage the process is in, and a thread that looks at its memory."""

    def __init__(self) -> None:
        self.stages = [Stage(START)]
        self._stack = [self.stages[0]]
        self._since, self._cpu = time.perf_counter(), time.process_time()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._start = memory()["RssAnon"]
        self._thread.start()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is a stage; the stage around it goes on when it ends."""
        self._count()
        self.stages.append(Stage(name))
        self._stack.append(self.stages[-1])
        try:
            yield
        finally:
            self._count()
            self._stack.pop()

    def staged(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function as a stage."""

        def call(*given: Any, **more: Any) -> Any:
            with self.stage(name):
                return function(*given, **more)

        return call

    def found(self, images_per_second: float | None = None) -> Found:
        """Up to now; whatever comes later is not looked at."""
        self._count()
        self._done.set()
        self._thread.join()
        peak, threads = memory()["VmHWM"], torch.get_num_threads()
        return Found(self.stages, self._start, peak, threads, torch.__version__, images_per_second)

    def _count(self) -> None:
        """Memory and time up to now belong to the stage under way."""
        self._look()
        now, cpu = time.perf_counter(), time.process_time()
        self._stack[-1].seconds += now - self._since
        self._stack[-1].cpu += cpu - self._cpu
        self._since, self._cpu = now, cpu

    def _sample(self) -> None:
        while not self._done.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        stage, seen = self._stack[-1], memory()
        stage.anon, stage.file = max(stage.anon, seen["RssAnon"]), max(stage.file, seen["RssFile"])


def memory() -> dict[str, int]:
    """VmHWM, RssAnon, RssFile of this process in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    cells = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return {name: int(cells[name].split()[0]) * 1024 for name in ("VmHWM", "RssAnon", "RssFile")}


def train(result: Path, settings: list[str]) -> None:
    """Everything that a run does up to trainer.max_steps."""
    watch, stopwatch = Watch(), Stopwatch()
    config = composed(settings)
    with ExitStack() as patches, tempfile.TemporaryDirectory(dir=result.parent) as folder:
        for owner, attribute, name in STAGES:
            function = getattr(owner, attribute)
            patches.enter_context(patch.object(owner, attribute, watch.staged(function, name)))
        run = RunDirectory(Path(folder))
        with running(run):
            parts = built(config)
            parts.dataset.write(run.path)
            fit = Fit(parts, run, stopwatch)
            fit.val_rows = fit.val_rows[:VAL_FACES]
            with watch.stage(STEPS):
                fit.fit()
                seconds = fmean(step for steps in stopwatch.epochs_steps for step in warm(steps))
                found = watch.found(config.trainer.batch_size / seconds)
    found.write(result)


def reads(result: Path, store: Path) -> None:
    """Batches of faces at random, out of a store that the page cache holds nothing of."""
    with store.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    shape = np.load(store, mmap_mode="r").shape
    images_NHWC = MappedRows(store, shape, np.uint8)
    watch, rng, read = Watch(), stream(0, "random faces"), 0
    started = time.perf_counter()
    while (seconds := time.perf_counter() - started) < READ_SECONDS:
        images_NHWC[rng.integers(0, shape[0], READ_FACES)]
        read += READ_FACES
    watch.found(read / seconds).write(result)


def copies(result: Path, rows: int) -> None:
    """The search under one view, among images of noise: no two of them are alike."""
    watch, side = Watch(), fingerprint.SIDE
    greys_NHW = stream(0, "made greys").integers(0, 256, (rows, side, side), np.uint8)
    with patch.object(fingerprint, "VIEWS", fingerprint.VIEWS[:1]), watch.stage(COPIES):
        near.pairs_of(greys_NHW)
    watch.found().write(result)


def main() -> None:
    work, result, *rest = sys.argv[1:]
    if work == "train":
        train(Path(result), rest)
    elif work == "reads":
        reads(Path(result), Path(rest[0]))
    else:
        copies(Path(result), int(rest[0]))


if __name__ == "__main__":
    main()
