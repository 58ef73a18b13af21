"""The command that a run's settings come from: what differs from the defaults, and no more."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from agegender.config.compose import conf_dir, groups, primary
from agegender.config.space import override_text
from agegender.core.files import read_yaml

_BARE = re.compile(r"[A-Za-z/][\w./@+-]*")
_WORDS = ("null", "true", "false", "inf", "nan")
OWN_FACES = "own"
"""What `faces` says in the config.yaml of an evaluation on the runs' own faces; `data` is theirs, too."""
_ORDERED = ("schedule.phases.", "data.sources.")
"""Mappings whose order says something."""


def command(config: dict[str, Any]) -> str | None:
    """What composes to the settings of a config.yaml, of `agegender-train` or `agegender-evaluate`.

    None where a group has an option that is not one of ours.
    """
    is_train = "schedule" in config
    entry = "train" if is_train else "evaluate"
    base = primary(entry)
    if not is_train:
        config = _asked(config, base)
    chosen = {name: option for item in base.pop("defaults") for name, option in item.items()}
    lines = []
    for group, options in groups(entry).items():
        if config.get(group) is None:
            continue
        nearest = _nearest(group, options, str(chosen[group]), config[group])
        if nearest is None:
            return None
        if nearest != chosen[group]:
            lines.append(f"{group}={nearest}")
        base[group] = {**_option(group, nearest), **(base.get(group) or {})}
    lines += _changes(config, {key: value for key, value in base.items() if key in config})
    return shlex.join([f"agegender-{entry}", *lines])


def _asked(config: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """An evaluation's settings less what its config.yaml says of the judged runs."""
    asked = {key: value for key, value in config.items() if key in known}
    if asked.get("faces") == OWN_FACES:
        asked = {key: value for key, value in asked.items() if key not in ("data", "faces")}
    return asked


def _option(group: str, option: str) -> dict[str, Any]:
    found: dict[str, Any] = _with_texts(read_yaml(conf_dir() / group / f"{option}.yaml") or {})
    return found


def _with_texts(value: Any) -> Any:
    """With texts as keys, as config.yaml has them: codes of genders are numbers."""
    return {str(key): _with_texts(item) for key, item in value.items()} if isinstance(value, dict) else value


def _nearest(group: str, options: list[str], default: str, settings: dict[str, Any]) -> str | None:
    """The option that the fewest settings differ from, of those that name the same component."""
    name = settings.get("name")
    if name is not None:
        line = re.compile(rf"^name: {re.escape(str(name))}\b", re.MULTILINE)
        options = [
            each for each in options if line.search((conf_dir() / group / f"{each}.yaml").read_text("utf-8"))
        ]
    costs = {
        each: (len(list(_changes(settings, _option(group, each), f"{group}."))), each != default)
        for each in options
    }
    return min(costs, key=costs.__getitem__, default=None)


def _changes(config: dict[str, Any], base: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Overrides from one mapping to the other; a key that only an older version lacks is left as it is."""
    kept = [key for key in base if key in config]
    if prefix in _ORDERED and list(config)[: len(kept)] != kept:
        kept = []  # in another order: all anew
    for key, value in base.items():
        if key not in kept and isinstance(value, dict):
            yield f"~{prefix}{key}"
    for key, value in config.items():
        name = f"{prefix}{key}"
        if key not in kept:
            yield f"+{name}={_text(value)}"
        elif isinstance(value, dict) and isinstance(base[key], dict):
            yield from _changes(value, base[key], f"{name}.")
        elif value != base[key]:
            yield f"{name}={_text(value)}"


def _text(value: Any) -> str:
    """In Hydra's grammar, without quotes where none are needed."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return override_text(value)
