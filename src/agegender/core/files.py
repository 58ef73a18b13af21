"""Files that are either whole or not there: written beside their place, then moved over it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:  # `--help` must not wait for pandas
    import pandas as pd


@contextmanager
def atomic(path: Path, durable: bool = False) -> Iterator[Path]:
    """A temporary path in the same folder; replaces `path` when the block ends without an error.

    A `durable` file is on the disk before it takes the old one's place, so that a power cut leaves either.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        if durable:
            _flush(temporary)
        temporary.replace(path)
        if durable and os.name == "posix":  # elsewhere a folder cannot be opened
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_halves(folder: Path) -> None:
    """Remove what killed processes had begun to write anywhere in a folder where no other is at work."""
    for path in folder.rglob(".*.tmp"):
        if re.fullmatch(r"\..+\.[0-9]+\.tmp", path.name) and path.is_file():
            path.unlink()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(table: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """The table without its index; a file name in it need not be UTF-8: odd bytes are written as \\udcXX."""
    with atomic(path) as temporary:
        table.to_csv(
            temporary, index=False, float_format=float_format, encoding="utf-8", errors="backslashreplace"
        )


def write_json(path: Path, value: Any) -> None:
    """Strict JSON: a NaN in `value` is an error, not a file that other programs cannot read."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_yaml(path: Path, value: Any) -> None:
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def cache_dir() -> Path:
    """What can be made anew and is kept between runs: drawn and decoded faces, hashes, copies found.

    `AGEGENDER_CACHE`, else the user's cache folder.
    """
    chosen = os.environ.get("AGEGENDER_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "agegender"
