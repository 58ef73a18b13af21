"""One page over the jobs of several sweeps, and over single runs beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agegender.config.sweep_record import read_record
from agegender.core.errors import UserError
from agegender.report.jobs import JobPlace, Jobs, read_jobs
from agegender.report.page import Block, Links, Text
from agegender.report.runs import Run, differing_settings, read_run, refuse_incomparable
from agegender.report.status import is_sweep
from agegender.report.sweep_page import write_sweep_page


@dataclass(frozen=True)
class Merged:
    """The jobs of several directories, with the settings in which they differ."""

    paths: Sequence[Path]
    jobs: list[tuple[Run, dict[str, str]]]
    not_begun: int
    """Jobs that never wrote their config.yaml."""
    repeats: int
    """Jobs that another one repeats, seed included."""


def read_merged(paths: Sequence[Path]) -> Merged:
    """Raises UserError where the runs and the jobs of the sweeps cannot be compared, or none has begun."""
    found = [read_run(path) for path in _run_dirs(paths)]
    begun = [run for run in found if run.config]
    if not begun:
        raise UserError(f"no job of {', '.join(map(str, paths))} has begun")
    refuse_incomparable(begun)
    jobs = _without_repeats(begun, differing_settings([run.config for run in begun]))
    return Merged(paths, jobs, len(found) - len(begun), len(begun) - len(jobs))


def write_merged(merged: Merged, folder: Path) -> Jobs:
    """Write sweep.csv, sweep.md, sweep.html and plots over all jobs into `folder`."""
    top = Path(os.path.commonpath([run.path.parent for run, _ in merged.jobs]))
    jobs = read_jobs(
        [
            JobPlace(run.path.relative_to(top).as_posix(), run.path, _link(run.path, folder), settings)
            for run, settings in merged.jobs
        ]
    )
    sources: list[Block] = [Links([(str(path), _link(path, folder)) for path in merged.paths])]
    if merged.not_begun:
        sources.append(Text(f"Jobs left out, as they have not begun: {merged.not_begun}."))
    if merged.repeats:
        text = f"Jobs left out, as another one has the same settings, seed included: {merged.repeats}."
        sources.append(Text(text))
    title = f"agegender sweep of {len(merged.paths)} directories"
    write_sweep_page(folder, title, jobs, ("Merged from", sources))
    return jobs


def _run_dirs(paths: Sequence[Path]) -> list[Path]:
    """The runs, and the jobs of the sweeps, each once."""
    dirs: list[Path] = []
    for path in paths:
        dirs += [path / job.dir for job in read_record(path).jobs] if is_sweep(path) else [path]
    return list(dict.fromkeys(path.resolve() for path in dirs))


def _without_repeats(
    runs: Sequence[Run], settings: Sequence[dict[str, str]]
) -> list[tuple[Run, dict[str, str]]]:
    """Of jobs that share every setting one, an `ok` one if there is: both would pass for two seeds."""
    kept: dict[frozenset[tuple[str, str]], tuple[Run, dict[str, str]]] = {}
    for run, chosen in zip(runs, settings, strict=True):
        key = frozenset(chosen.items())
        if key not in kept or (run.status == "ok" and kept[key][0].status != "ok"):
            kept[key] = (run, chosen)
    return list(kept.values())


def _link(path: Path, folder: Path) -> str:
    """From the page to a directory."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
