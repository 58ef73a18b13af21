"""`sweep.resume=DIR`: which recorded sweep is taken up, and whether what is asked for is that sweep.

Alone on the command line it takes up the plan that DIR/sweep.json holds; beside the sweep's own command
line it checks that both describe the same jobs.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from agegender.config.sweep_record import FILE, SweepRecord, is_hydras, own_overrides, read_record
from agegender.core.errors import UserError

KEY = "sweep.resume"


@dataclass(frozen=True)
class Resume:
    """A sweep to be taken up."""

    directory: Path
    record: SweepRecord
    as_recorded: bool
    """Whether the record alone says what the jobs are."""

    def jobs(self, hydras: Sequence[str]) -> list[list[str]]:
        """The recorded jobs as Hydra will see them, with what the sweep and `hydras` tell Hydra itself."""
        told = [override for override in self.record.overrides if is_hydras(override)]
        return [[*job.overrides, *told, *hydras] for job in self.record.jobs]

    def check_same(self, jobs: Sequence[Sequence[str]]) -> None:
        """UserError that says how the jobs differ from the recorded ones."""
        recorded = self.record.jobs
        if len(jobs) != len(recorded):
            raise UserError(
                f"{KEY}={self.directory}: another sweep, {len(recorded)} jobs there, {len(jobs)} here; "
                f"{KEY} alone takes up the recorded one"
            )
        for job, now in zip(recorded, map(own_overrides, jobs), strict=True):
            was = [line for line in job.overrides if line not in now]
            new = [line for line in now if line not in job.overrides]
            if was or new:
                raise UserError(
                    f"{KEY}={self.directory}: another sweep, job {job.number} was {_words(was)}, "
                    f"now {_words(new)}; {KEY} alone takes up the recorded one"
                )


def _words(overrides: Sequence[str]) -> str:
    return " ".join(overrides) or "without that"


@contextlib.contextmanager
def resuming(flags: argparse.Namespace) -> Iterator[None]:
    """Turn `sweep.resume` on the command line into `flags.resume`; nothing where there is none.

    A recorded plan is taken up in the folder where it was made, because paths in it may be relative.
    Raises UserError for a directory that holds no sweep.
    """
    lines = [line for line in flags.overrides if _key(line) == KEY]
    flags.overrides = [line for line in flags.overrides if _key(line) != KEY]
    if len(lines) > 1:
        raise UserError(f"{KEY} names one sweep, not {len(lines)}")
    directory = _directory(lines[0]) if lines else None
    if directory is None:
        yield
        return
    record = read_record(directory)
    as_recorded = not own_overrides(flags.overrides)
    flags.resume = Resume(directory, record, as_recorded)
    if not as_recorded:
        yield
        return
    flags.multirun = True
    if flags.config_dir is not None:
        flags.config_dir = str(Path(flags.config_dir).expanduser().absolute())
    else:
        flags.config_dir = record.config_dir
    with _inside(record.folder):
        yield


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")


def _directory(line: str) -> Path | None:
    if "=" not in line:
        raise UserError(f"{line} needs a value: {KEY}=DIR, the directory of a sweep")
    value = OverridesParser.create().parse_override(line).value()
    if value is None:
        return None
    if not value:
        raise UserError(f"{KEY}= needs the directory of a sweep")
    value = str(value).replace("\\${", "${")  # quoting a path escapes what is no interpolation
    path = Path(value).expanduser().absolute()
    if not path.is_dir():
        raise UserError(f"{KEY}={value}: {'is not a folder' if path.exists() else 'no such folder'}")
    if not (path / FILE).is_file():
        raise UserError(f"{KEY}={value}: holds no sweep (no {FILE} in it)")
    return path


@contextlib.contextmanager
def _inside(folder: str | None) -> Iterator[None]:
    if folder is None:  # recorded by an earlier version
        yield
        return
    if not Path(folder).is_dir():
        raise UserError(
            f"{KEY}: the sweep was started in {folder}, which is gone; "
            f"give its command line, too: -m KEY=A,B ... {KEY}=DIR"
        )
    with contextlib.chdir(folder):
        yield
