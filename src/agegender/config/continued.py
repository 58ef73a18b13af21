"""`resume=DIR`: which run goes on, with the settings that its own config.yaml holds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from agegender.config.compose import validate
from agegender.config.options import Options
from agegender.core.errors import UserError
from agegender.core.files import read_yaml

KEY = "resume"
ALLOWED = ("trainer.max_steps", "trainer.accelerator")
"""What may stand beside it: how far, and where the steps run."""

S = TypeVar("S", bound=Options)


@dataclass(frozen=True)
class Continued(Generic[S]):
    """A run that is to go on."""

    directory: Path
    recorded: S
    config: S
    """The recorded settings with what was given beside `resume`."""


def continued(flags: argparse.Namespace, schema: type[S], check: Callable[[S], None]) -> Continued[S] | None:
    """The run that `resume` on the command line names; None where there is no such key.

    Raises UserError for a directory that holds no run, and for whatever else is asked for. Nothing is
    written.
    """
    directory, flags.overrides = split_off(flags.overrides, "run")
    if directory is None:
        return None
    _refuse_others(flags.overrides, flags)
    changes = [_parsed(line) for line in flags.overrides]
    _check_run(directory)
    plain = _read(directory)
    recorded = _validated(schema, plain, directory)
    for change in changes:
        section, _, name = change.key_or_group.partition(".")
        plain = {**plain, section: {**plain[section], name: change.value()}}
    config = validate(schema, plain)
    check(config)
    return Continued(directory, recorded, config)


def split_off(overrides: Sequence[str], what: str) -> tuple[Path | None, list[str]]:
    """The directory of a run or a search that `resume` names, if it is there, and the other overrides."""
    lines = [line for line in overrides if _key(line) == KEY]
    return _directory(lines, what) if lines else None, [line for line in overrides if _key(line) != KEY]


def _validated(schema: type[S], plain: dict[str, Any], directory: Path) -> S:
    """The recorded settings; UserError that names the file."""
    try:
        return validate(schema, plain)
    except UserError as error:
        raise UserError(f"{KEY}={directory}: config.yaml: {error}") from error


def _key(line: str) -> str:
    return line.partition("=")[0].lstrip("+")


def _directory(lines: list[str], what: str) -> Path | None:
    if len(lines) > 1:
        raise UserError(f"{KEY} names one {what}, not {len(lines)}")
    value = _parsed(lines[0]).value()
    if value is None:
        return None
    if not value:
        raise UserError(f"{KEY}= needs the directory of a {what}")
    value = str(value).replace("\\${", "${")  # quoting a path escapes what is no interpolation
    return Path(value).expanduser().absolute()


def _parsed(line: str) -> Override:
    try:
        return OverridesParser.create().parse_override(line)
    except HydraException as error:
        raise UserError(f"cannot read {line!r}: {str(error).splitlines()[0]}") from error


def _refuse_others(lines: list[str], flags: argparse.Namespace) -> None:
    allowed = " and ".join(ALLOWED)
    if flags.multirun:
        raise UserError(f"{KEY} goes on with one run and does not sweep: leave out -m and sweep=")
    others = [line for line in lines if line.partition("=")[0] not in ALLOWED]
    if flags.config_dir is not None:
        others.append("--config-dir")
    if others:
        raise UserError(f"{others[0]}: a run goes on with its own settings; beside {KEY} only {allowed}")
    for line in lines:
        if _parsed(line).is_sweep_override():
            raise UserError(f"{line} holds several values: {KEY} goes on with one run")


def _check_run(directory: Path) -> None:
    if not directory.is_dir():
        what = "is not a folder" if directory.exists() else "no such folder"
        raise UserError(f"{KEY}={directory}: {what}")
    if (directory / "sweep.json").is_file():
        raise UserError(
            f"{KEY}={directory}: holds a sweep, not a run; finish it with sweep.resume={directory}"
        )
    if (directory / "tune.json").is_file():
        raise UserError(
            f"{KEY}={directory}: holds a search, not a run; go on with agegender-tune {KEY}={directory}"
        )
    for name in ("status.json", "config.yaml"):
        if not (directory / name).is_file():
            raise UserError(f"{KEY}={directory}: holds no run of agegender-train (no {name} in it)")


def _read(directory: Path) -> dict[str, Any]:
    try:
        plain = read_yaml(directory / "config.yaml")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(f"{KEY}={directory}: config.yaml is damaged ({reason})") from error
    if not isinstance(plain, dict):
        raise UserError(f"{KEY}={directory}: config.yaml is damaged (it holds no mapping)")
    return plain
