"""`tune.json`: what a search set out to do; and `resume=DIR`, which goes on with one."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from agegender.config.continued import KEY, split_off
from agegender.config.options import Options
from agegender.config.preflight import Plan
from agegender.config.search import TuneConfig
from agegender.config.sweep_record import read_as
from agegender.core.errors import UserError
from agegender.core.files import write_json
from agegender.core.nested import leaves

FILE = "tune.json"
ALLOWED = ("trials", "timeout")
"""What may stand beside `resume`: how far the search goes."""


class SearchRecord(Options):
    """The plan of a search."""

    model_config = ConfigDict(extra="ignore")  # a newer version may say more

    command: str
    overrides: list[str]
    config_dir: str | None
    folder: str
    """Where the search was started: relative paths in the overrides begin there."""
    config: dict[str, Any]
    """What the overrides meant then."""


def write_record(plan: Plan[TuneConfig], directory: Path) -> None:
    """Record a search that starts, or goes on, here and now."""
    config_dir = None if plan.config_dir is None else str(Path(plan.config_dir).expanduser().absolute())
    flags = [] if config_dir is None else ["--config-dir", config_dir]
    record = SearchRecord(
        command=shlex.join(["agegender-tune", *plan.overrides, *flags]),
        overrides=list(plan.overrides),
        config_dir=config_dir,
        folder=str(Path.cwd()),
        config=plan.jobs[0].config.to_dict(),
    )
    write_json(directory / FILE, record.to_dict())


def read_record(directory: Path) -> SearchRecord:
    """The plan of a search; UserError where the file is damaged."""
    return read_as(SearchRecord, directory / FILE)


@contextlib.contextmanager
def taken_up(flags: argparse.Namespace) -> Iterator[Path | None]:
    """The directory of the search that `resume` on the command line names; None where there is no such key.

    The flags become those of the recorded command, and the folder the one where it was started.
    """
    directory, flags.overrides = split_off(flags.overrides, "search")
    if directory is None:
        yield None
        return
    _refuse_others(flags)
    if not (directory / FILE).is_file():
        what = f"holds no search (no {FILE} in it)" if directory.is_dir() else "no such folder"
        raise UserError(f"{KEY}={directory}: {what}")
    record = read_record(directory)
    anew = {line.partition("=")[0] for line in flags.overrides}
    before = [line for line in record.overrides if line.partition("=")[0] not in anew]
    flags.overrides = [*before, *flags.overrides]
    flags.config_dir = record.config_dir
    if not Path(record.folder).is_dir():
        raise UserError(f"{KEY}={directory}: the search was started in {record.folder}, which is gone")
    with contextlib.chdir(record.folder):
        yield directory


def _refuse_others(flags: argparse.Namespace) -> None:
    others = [line for line in flags.overrides if line.partition("=")[0] not in ALLOWED]
    others += ["-m"] if flags.multirun else []
    others += [] if flags.config_dir is None else ["--config-dir"]
    if others:
        raise UserError(
            f"{others[0]}: a search goes on with its own settings; beside {KEY} only {' and '.join(ALLOWED)}"
        )


def refuse_other_settings(config: TuneConfig, directory: Path) -> None:
    """UserError where the recorded words mean something else by now: an edited YAML, another version."""
    before = dict(leaves(read_record(directory).config))
    for key, now in leaves(config.to_dict()):
        if key not in ALLOWED and before.get(key) != now:
            raise UserError(
                f"{KEY}={directory}: settings have changed since the search began: {key} was "
                f"{before.get(key)}, now {now}; its trials would not compare"
            )
