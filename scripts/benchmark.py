"""The naive loop of a notebook against the engine, run in turn on the same faces.

python scripts/benchmark.py                                        # short form, below 15 minutes on 2 cores
python scripts/benchmark.py --full --profile --page docs/benchmarks.md

AGEGENDER_DATA names a folder with UTKFace/; without it the faces are drawn. Writes benchmarks.json and
benchmarks.md into --out. To be run on a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from benchmark_cases import CASES, Case, Size, real_faces
from benchmark_figures import (
    Pair,
    absent_entry,
    balancer_entry,
    input_entry,
    is_met,
    pair_entry,
    precision_entry,
    start_entry,
)
from benchmark_machine import machine
from benchmark_measured import Measured
from benchmark_page import page

from agegender.core.errors import AgeGenderError, RunError, UserError, unknown
from agegender.core.files import read_json, write_json, write_text

HERE = Path(__file__).parent
PAIRS = 3


def main() -> int:
    try:
        return run(parsed(sys.argv[1:]))
    except AgeGenderError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help shows what there is)")


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help="some of them, a comma between, or 'balancer_*'")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="runs of either side, each of its own seed")
    parser.add_argument("--full", action="store_true", help="more faces and epochs: about an hour")
    parser.add_argument("--faces", type=int, help="so many in every case, and one epoch: whether it works")
    parser.add_argument("--profile", action="store_true", help="also which operators our steps spend time in")
    parser.add_argument("--out", type=Path, default=Path("outputs/bench"), help="folder for what is written")
    parser.add_argument("--page", type=Path, help="the Markdown goes to this file, too")
    arguments = parser.parse_args(argv)
    arguments.named, arguments.cases = arguments.cases, chosen_cases(arguments.cases)
    for name, least in (("pairs", 1), ("faces", 20)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise UserError(f"--{name}={value}: at least {least}")
    faces = real_faces()
    if faces is not None and not faces.is_dir():
        raise UserError(f"AGEGENDER_DATA={os.environ['AGEGENDER_DATA']}: holds no folder UTKFace")
    return arguments


def chosen_cases(names: str | None) -> list[Case]:
    known = {case.name: case for case in CASES}
    if names is None:
        return list(CASES)
    chosen: dict[str, Case] = {}
    for name in names.split(","):
        found = fnmatch.filter(known, name)
        if not found:
            raise UserError(unknown("case", name, known))
        chosen |= {each: known[each] for each in found}
    return list(chosen.values())


def run(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=out) as name:
        trial = Trial(Path(name), arguments.pairs, arguments.profile)
        hardware = trial.hardware()
        document: dict[str, Any] = {
            "cases": [],
            "command": command(arguments),
            "faces": "The embedded faces, drawn." if real_faces() is None else "Faces of UTKFace.",
            "machine": machine(hardware, load),
            "hardware": hardware,
            "profiles": trial.profiles,
        }
        for case in arguments.cases:
            size = case.full if arguments.full else case.short
            if arguments.faces is not None:
                size = Size(arguments.faces)
            entry = trial.measure(case, size, hardware)
            print(summary(entry), flush=True)
            document["cases"].append(entry)
            text = page(document)
            write_json(out / "benchmarks.json", document)  # what is measured stays, whatever comes
            write_text(out / "benchmarks.md", text)
    if arguments.page is not None:
        write_text(arguments.page, text)
    print(f"\n{text}")
    return 0


def command(arguments: argparse.Namespace) -> str:
    """What measures the same again, wherever it writes."""
    words = ["python scripts/benchmark.py", f"--pairs {arguments.pairs}"]
    words += [f"--{name}" for name in ("full", "profile") if getattr(arguments, name)]
    if arguments.faces is not None:
        words.append(f"--faces {arguments.faces}")
    if len(arguments.cases) < len(CASES):
        words.append(f"--cases {shlex.quote(arguments.named)}")
    return " ".join(words)


def summary(entry: dict[str, Any]) -> str:
    if entry["ratio"] is None:
        return f"{entry['name']}: {entry['absent']}"
    wanted = "" if entry["target"] is None else f", wanted {entry['bound']} {entry['target']:g}"
    met = {True: ": met", False: ": missed", None: ""}[is_met(entry)]
    return f"{entry['name']}: {entry['ratio']:.3f}{wanted}{met}"


@dataclass
class Trial:
    """Runs each measurement in a process of its own, one after the other."""

    folder: Path
    pairs: int
    profiled: bool

    def __post_init__(self) -> None:
        self.profiles: dict[str, list[tuple[str, float]]] = {}

    def hardware(self) -> dict[str, Any]:
        result = self.folder / "hardware.json"
        child("benchmark_hardware.py", result)
        return dict(read_json(result))

    def measure(self, case: Case, size: Size, hardware: dict[str, Any]) -> dict[str, Any]:
        if case.needs_gpu and "gpu" not in hardware:
            return absent_entry(case, "not run: no GPU")
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder = Path(name)
            if case.is_pair:
                return self._pairs(case, size, folder)
            if case.measure == "input":
                return input_entry(case, self._in_turn("input", case, size, folder))
            if case.measure == "balancer":
                return balancer_entry(case, self._in_turn("balancer", case, size, folder))
            if case.measure == "precision":
                return precision_entry(case, self._in_turn("precision", case, size, folder))
            return start_entry(case, size, self._starts(case, size, folder))

    def _pairs(self, case: Case, size: Size, folder: Path) -> dict[str, Any]:
        common = case.chosen(size)
        if case.model == "resnet34":
            engine("backbone", folder / "backbone.safetensors", common)
            common.append(f"model.weights='{(folder / 'backbone.safetensors').absolute()}'")
        pairs = []
        for seed in range(self.pairs):
            settings = [*common, f"seed={seed}"]
            engine("prepare", folder, settings)
            naive, ours = folder / f"naive-{seed}.json", folder / f"ours-{seed}.json"
            child("naive_loop.py", folder, str(seed), naive)
            engine("train", ours, settings)
            pairs.append(Pair(Measured.read(naive), Measured.read(ours)))
        if self.profiled:
            result = folder / "profile.json"
            engine("profile", result, common)
            self.profiles[case.name] = read_json(result)
        faces = pd.read_csv(folder / "faces.csv")
        return pair_entry(case, size, faces, pairs)

    def _in_turn(self, work: str, case: Case, size: Size, folder: Path) -> Measured:
        """One run in which epochs or steps of both kinds alternate."""
        result = folder / f"{work}.json"
        engine(work, result, case.chosen(Size(size.faces, epochs=2 * self.pairs)))
        return Measured.read(result)

    def _starts(self, case: Case, size: Size, folder: Path) -> list[Measured]:
        """The first start fills the cache and does not count."""
        results = [folder / f"start-{number}.json" for number in range(self.pairs + 1)]
        for result in results:
            engine("start", result, case.chosen(size))
        return [Measured.read(result) for result in results[1:]]


def engine(work: str, target: Path, settings: Sequence[str]) -> None:
    child("benchmark_engine.py", work, target, *settings)


def child(script: str, *arguments: str | Path) -> None:
    """A script of this folder; RunError with its last words where it fails."""
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise RunError(f"{script} {arguments[0]}: exit code {done.returncode}: {last[0]}")


if __name__ == "__main__":
    sys.exit(main())
