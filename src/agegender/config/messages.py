"""What Hydra, OmegaConf and pydantic say, in one line that names the key, the value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from agegender.core.errors import unknown


def explain_validation(error: ValidationError) -> str:
    """The first mistake, and how many more there are."""
    first, *rest = error.errors(include_url=False)
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "should be")
    if first["type"] == "extra_forbidden":
        text = f"{key}: there is no such key"
    elif first["type"] == "missing":
        text = f"{key}: is missing"
    elif not key:
        text = message
    elif isinstance(first["input"], dict) and first["type"] == "value_error":
        text = f"{key}: {message}"
    else:
        text = f"{key}={_shown(first['input'])}: {message}"
    return text + (f" (and {len(rest)} more)" if rest else "")


def _shown(value: object) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def explain_hydra(
    error: HydraException | OmegaConfBaseException | ValueError,
    keys: Iterable[str],
    groups: Mapping[str, list[str]],
    options_with: Callable[[str], list[str]],
) -> str:
    """One line for what Hydra refused; `keys` and `groups` are the known ones, for the nearest name.

    `options_with` tells which options have a key that the composed ones have not.
    """
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.partition("/")
        if option.startswith("launcher/"):
            package = f"hydra-{option.removeprefix('launcher/').partition('_')[0]}-launcher"
            return f"hydra/{option.replace('/', '=')}: no such launcher is installed (pip install {package})"
        return unknown(f"{group} option", option, groups.get(group, []))
    if isinstance(error, OverrideParseException):
        first = text.splitlines()[0]
        if "Ambiguous value" in first:
            return f"{error.override} holds several values: add -m to sweep over them"
        return f"cannot read {error.override!r}: {first}; quote a value with special characters"
    match = re.search(r"Could not (?:override|append|delete from) (?:value |config. )?'?([\w.@/]+)'?", text)
    if match:
        key = match.group(1)
        elsewhere = options_with(key)
        if elsewhere:
            return f"{key} is a key of {' and '.join(elsewhere)} only: choose that, too"
        return unknown("key", key, keys)
    match = re.search(r"You must specify '(\w+)'", text)
    if match:
        options = re.findall(r"^\t(\S+)", text, flags=re.M)
        return f"{match.group(1)} is required: {match.group(1)}=NAME with NAME one of {', '.join(options)}"
    return " ".join(text.split())
