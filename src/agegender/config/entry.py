"""What every console script shares: flags, the pre-flight, one-line errors, exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any

from omegaconf import DictConfig

import agegender
from agegender.config.help import help_text
from agegender.config.launch import run_hydra
from agegender.config.options import Options
from agegender.config.preflight import Plan, parse_flags, preflight
from agegender.config.resume import resuming
from agegender.core.errors import AgeGenderError, UserError
from agegender.core.world import current_world

INTERRUPTED = 130


def _nothing_more(config: Any) -> None:
    """Most entries need no check beyond their schema."""


@dataclass(frozen=True)
class Entry:
    """A console script: the YAML it composes, the schema that checks it, and what then runs."""

    config_name: str
    schema: type[Options]
    execute: Callable[[Plan[Any]], int]
    examples: tuple[str, ...]
    sweeps: bool = False
    check: Callable[[Any], None] = _nothing_more
    resume: Callable[[argparse.Namespace], int | None] | None = None
    """Goes on with what `resume=DIR` names; None where it is not given."""


def run_entry(entry: Entry, argv: Sequence[str] | None = None) -> int:
    """Run a console script and return its exit code: 0 done, 1 failed, 2 user's mistake, 130 interrupted.

    A mistake costs a line on stderr; the traceback comes with `HYDRA_FULL_ERROR=1` alone.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminated_like_interrupted():
            return _run(entry, arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        known = isinstance(error, AgeGenderError)
        text = str(error) if known else f"{type(error).__name__}: {' '.join(str(error).split())}"
        print(f"error{_where()}: {text}", file=sys.stderr)
        if not known:
            print(
                "this is a bug or a lack of memory or disk; HYDRA_FULL_ERROR=1 shows where", file=sys.stderr
            )
        return error.exit_code if isinstance(error, AgeGenderError) else 1


def _where() -> str:
    """Which of several processes speaks; the first one needs no name."""
    try:
        world = current_world()
    except UserError:  # it may be what is wrong
        return ""
    return "" if world is None or world.rank == 0 else f" (rank {world.rank})"


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM is handled like Ctrl-C, so that a run that is told to end leaves a usable directory."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(entry: Entry, arguments: list[str]) -> int:
    if "--version" in arguments:
        print(f"agegender {agegender.__version__}")
        return 0
    if "--help" in arguments or "-h" in arguments:
        print(help_text(entry.config_name, entry.schema, entry.examples))
        return 0
    flags = parse_flags(arguments, entry.sweeps)
    if flags.cfg or flags.info or flags.shell_completion or flags.hydra_help:
        return _show(entry, arguments, flags)
    if entry.resume is not None:
        code = entry.resume(flags)
        if code is not None:
            return code
    with resuming(flags) if entry.sweeps else nullcontext():
        return entry.execute(preflight(entry.config_name, entry.schema, flags, entry.check))


def _show(entry: Entry, arguments: list[str], flags: argparse.Namespace) -> int:
    """Hydra's own displays: `--cfg`, `--info`, completion."""
    raw = [argument for argument in arguments if "=" not in argument or argument.startswith("-")]

    def never(_config: DictConfig) -> None:
        raise AssertionError("Hydra was asked to show, not to run")

    try:
        run_hydra(entry.config_name, [*raw, *flags.overrides], never)
    except SystemExit as stop:
        return int(stop.code or 0)
    except Exception as error:
        raise UserError(" ".join(str(error).split())) from error
    return 0
