"""`--help`: groups with their options, then every key with its default; drawn from YAML and schema."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator
from typing import Any, get_args

from pydantic import BaseModel

from agegender.config.compose import conf_dir, groups, leaf_keys, primary
from agegender.config.options import Options
from agegender.config.schema import ResumeOptions, SweepOptions
from agegender.config.search import TakenUpOptions
from agegender.core.files import read_yaml

_WIDTH = 110


def help_text(config_name: str, schema: type[Options], examples: tuple[str, ...]) -> str:
    """The whole page; imports neither torch nor any component."""
    summary = (conf_dir() / f"{config_name}.yaml").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    blocks = [summary, "usage: agegender-" + config_name + " [key=value ...] [flags]", "examples:"]
    blocks += [f"  {example}" for example in examples]
    options = groups(config_name)
    if config_name != "train":
        options.pop("sweep", None)
    defaults = _defaults(config_name)
    if options:
        blocks += ["", "groups (group=option; * is the default):"]
        for group, names in options.items():
            marked = ", ".join(f"*{name}" if name == defaults.get(group) else name for name in names)
            blocks.append(_entry(group, marked))
    blocks += ["", "keys (key=value):"]
    shared = dict(_keys(schema, _values(config_name, defaults)))
    if "sweep" in options:
        shared |= _keys(ResumeOptions, {"resume": None})
        shared |= _keys(SweepOptions, {"resume": None}, "sweep.")
    if "search" in options:
        shared |= _keys(TakenUpOptions, {"resume": None})
    blocks += [_entry(key, text) for key, text in shared.items()]
    blocks += _own_keys(options, shared)
    blocks += [
        "",
        "flags:",
        _entry("--cfg job", "print the composed configuration and stop"),
        _entry("--config-dir DIR", "add your own YAML groups"),
        _entry("-m", "sweep: a comma separates values, e.g. loss.lambda=1,10; sweep=NAME needs no -m")
        if config_name == "train"
        else "",
        _entry("--version", "print the version"),
    ]
    return "\n".join(line for i, line in enumerate(blocks) if line or i < len(blocks) - 5)


def _own_keys(options: dict[str, list[str]], shared: Collection[str]) -> list[str]:
    """Keys that only one option of a group has, from its YAML."""
    lines = []
    for group, names in options.items():
        for name in names if group not in ("experiment", "sweep", "search") else ():
            keys = [f"{group}.{key}" for key in leaf_keys(read_yaml(conf_dir() / group / f"{name}.yaml"))]
            own = [
                key
                for key in keys
                if key not in shared and not key.endswith(".name") and ".phases." not in key
            ]
            if own:
                lines.append(_entry(f"{group}={name}", ", ".join(own)))
    return ["", "keys that only one option has (its YAML says more):", *lines] if lines else []


def _entry(name: str, text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=f"  {name:<28} ", subsequent_indent=" " * 31, break_on_hyphens=False
    )


def _defaults(config_name: str) -> dict[str, str]:
    return {key: value for item in primary(config_name)["defaults"] for key, value in item.items()}


def _values(config_name: str, defaults: dict[str, str]) -> dict[str, Any]:
    """Default values as the YAML files hold them, by top-level key."""
    values = primary(config_name)
    for group, option in defaults.items():
        file = conf_dir() / group / f"{option}.yaml"
        if file.is_file():
            values[group] = read_yaml(file) | values.get(group, {})
    return values


def _keys(schema: type[BaseModel], values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for field_name, field in schema.model_fields.items():
        name = field.alias or field_name
        value = values.get(name) if isinstance(values, dict) else None
        inner = [t for t in (field.annotation, *get_args(field.annotation)) if _is_schema(t)]
        if get_args(field.annotation)[:1] == (str,) and inner:  # phases: a mapping by name
            for key, item in (value or {"NAME": {}}).items():
                yield from _keys(inner[0], item, f"{prefix}{name}.{key}.")
        elif inner:
            yield from _keys(inner[0], value, f"{prefix}{name}.")
        elif name != "name":
            shown = "required" if value == "???" else f"default {_shown(value)}"
            yield prefix + name, f"{field.description or ''} ({shown})".strip()


def _is_schema(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _shown(value: Any) -> str:
    if value is None or value == {"image_size": None}:  # all that agegender-evaluate knows of its data
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
