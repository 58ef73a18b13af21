"""Kill a run again and again, take it up each time, and compare what it ends in with an uninterrupted run.

python scripts/kill_and_resume.py outputs/kills --kills 30 --every 5

A small run on the embedded faces is killed with SIGKILL at random moments after its first checkpoint: in
steps, in validation, while files are written. Each attempt notes every step that it begins, so that what is
asserted does not rest on what the run says of itself: an attempt begins right after the checkpoint's step, a
kill costs at most --every steps, and the last attempt runs the total less the checkpoint's steps. In the end
both checkpoints, predictions, metrics and history (less its times) must be the same, bit by bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from safetensors.torch import load_file

from agegender.cli.train import ENTRY
from agegender.config.entry import run_entry
from agegender.core.files import read_json
from agegender.engine.last import LAST, load_last
from agegender.engine.step import Stepper

SETTINGS = (
    "model=scratch_cnn_v2",
    "data.n=80",
    "data.image_size=16",
    "augment=published",
    "trainer.batch_size=4",
    "schedule=two_phase",
    "schedule.patience=null",
    "evaluation.bootstrap=20",
)
"""A run of 14 short steps an epoch, with dropout, batch normalisation and two phases."""
EPOCH_STEPS = 14
STEPS_A_KILL = 40
"""How long the run is: an attempt is killed well before it has done so many."""
TIMES = ["seconds", "images_per_second"]


def attempt(notes: Path, arguments: list[str]) -> int:
    """One command in this process; each step writes its number before it begins."""
    take = Stepper.take
    with notes.open("ab", buffering=0) as file:

        def noted(*given: Any) -> Any:
            file.write(b"%d\n" % given[4])
            return take(*given)

        with patch.object(Stepper, "take", noted):
            return run_entry(ENTRY, arguments)


def start(notes: Path, *arguments: str) -> subprocess.Popen[str]:
    notes.unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, __file__, "--attempt", str(notes), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def steps_of(notes: Path) -> list[int]:
    """The steps that an attempt began."""
    return [int(line) for line in notes.read_text().split()] if notes.exists() else []


def kill(process: subprocess.Popen[str], notes: Path, run: Path, draw: random.Random) -> None:
    """SIGKILL some steps and milliseconds after the attempt's first step, and after the first checkpoint."""
    wanted, delay = draw.randint(1, 20), draw.uniform(0, 0.06)
    while not (run / LAST).exists() or len(steps_of(notes)) < wanted:
        if process.poll() is not None:
            assert process.stderr is not None
            sys.exit(f"the run ended before it could be killed: {process.stderr.read()}")
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if process.returncode != -signal.SIGKILL:
        sys.exit("the run ended before it could be killed")


def finished(process: subprocess.Popen[str]) -> None:
    _, err = process.communicate()
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}: {err}")


def plain(value: Any, place: str = "") -> dict[str, Any]:
    """Leaves by their place; tensors as their bytes."""
    if isinstance(value, torch.Tensor):
        return {place: (tuple(value.shape), str(value.dtype), value.numpy().tobytes())}
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {} if place.rpartition("/")[2] in TIMES else {place: repr(value)}
    return {name: leaf for key, item in value.items() for name, leaf in plain(item, f"{place}/{key}").items()}


def content(run: Path) -> dict[str, Any]:
    """Everything that must be the same in two runs."""
    history = pd.read_csv(run / "history.csv", dtype=str).drop(columns=TIMES)
    return {
        **plain(torch.load(run / LAST, weights_only=True), "last.ckpt"),
        **plain(dict(load_file(run / "checkpoints" / "best.safetensors")), "best.safetensors"),
        "history.csv": history.to_csv(),
        "predictions.csv": (run / "predictions.csv").read_bytes(),
        "metrics.json": (run / "metrics.json").read_bytes(),
        "files": sorted(str(path.relative_to(run)) for path in run.rglob("*")),
    }


def kill_and_resume(folder: Path, kills: int, every: int, seed: int) -> str:
    """The whole trial; its figures in words. AssertionError where anything was lost."""
    folder.mkdir(parents=True)
    draw, notes = random.Random(seed), folder / "steps"
    epochs = max(2, -(-kills * STEPS_A_KILL // EPOCH_STEPS))
    total = epochs * EPOCH_STEPS
    lines = (
        *SETTINGS,
        f"trainer.checkpoint_every={every}",
        f"schedule.phases.heads.epochs={epochs // 2}",
        f"schedule.phases.all.epochs={epochs - epochs // 2}",
    )
    whole, killed = folder / "whole", folder / "killed"
    finished(start(notes, *lines, f"hydra.run.dir={whole}"))
    assert steps_of(notes) == list(range(1, total + 1)), "the uninterrupted run's steps"

    kept, lost, within = 0, [], 0
    process = start(notes, *lines, f"hydra.run.dir={killed}")
    for number in range(1, kills + 1):
        kill(process, notes, killed, draw)
        begun, last = steps_of(notes), load_last(killed)
        assert begun == list(range(kept + 1, begun[-1] + 1)), f"attempt {number} began at {begun[:1]}"
        lost.append(begun[-1] - last.step)
        assert 0 <= lost[-1] <= every, f"kill {number} cost {lost[-1]} steps"
        kept = last.step
        within += last.position["epoch_step"] > 0
        process = start(notes, f"resume={killed}")
    finished(process)
    rest = steps_of(notes)
    assert rest == list(range(kept + 1, total + 1)), f"the last attempt ran {len(rest)} steps"
    status = read_json(killed / "status.json")
    assert (status["status"], status["step"], status["resumed_from_step"]) == ("ok", total, kept)

    left, right = content(whole), content(killed)
    different = [name for name in {**left, **right} if left.get(name) != right.get(name)]
    assert not different, f"not the same: {', '.join(different[:5])}"
    return (
        f"{kills} kills (seed {seed}), {total} steps, a checkpoint every {every} steps and at epoch ends: "
        f"{sum(lost)} steps done twice ({max(lost, default=0)} at most, {lost.count(0)} kills cost none), "
        f"{within} times within an epoch; the last attempt ran {len(rest)} = {total} - {kept} steps; "
        f"{len(left)} tensors and values, files included: the same bits"
    )


def main() -> None:
    if sys.argv[1:2] == ["--attempt"]:
        sys.exit(attempt(Path(sys.argv[2]), sys.argv[3:]))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder for both runs")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--every", type=int, default=5, help="trainer.checkpoint_every, in steps")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    told = parser.parse_args()
    print(kill_and_resume(told.folder.absolute(), told.kills, told.every, told.seed))


if __name__ == "__main__":
    main()
