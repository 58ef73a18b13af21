"""A trial's settings as an `experiment` file that `agegender-train` repeats it with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from agegender.config.compose import composing, groups
from agegender.config.schema import TrainConfig
from agegender.config.search import Value
from agegender.config.space import Space
from agegender.core.files import write_text

_NAME = "best"
_NO_SETTINGS = ("experiment", "sweep")


def train_command(directory: Path) -> str:
    """What trains the experiment that `write_experiment` has written."""
    return shlex.join(["agegender-train", "--config-dir", str(directory), f"experiment={_NAME}"])


def write_experiment(directory: Path, space: Space, values: Mapping[str, Value], comment: str) -> None:
    """Write experiment/best.yaml: the groups' options, and what differs from them.

    A group whose option is not one of ours, or has keys that are not there any more, is written out.
    """
    choices = space.composed(values).hydra.runtime.choices
    known = {name: options for name, options in groups("train").items() if name not in _NO_SETTINGS}
    ours = {name: str(choices[name]) for name in known if choices[name] in known[name]}
    config = space.config(values).to_dict()
    base = _composed(ours)
    whole = {name for name in known if name not in ours or _lacks(config[name], base[name])}
    defaults = [{f"override /{name}": None if name in whole else ours[name]} for name in known]
    content = _difference(config, {name: value for name, value in base.items() if name not in whole})
    text = yaml.safe_dump({"defaults": defaults}, sort_keys=False)
    text += "\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True) if content else ""
    lines = "".join(f"# {line}\n" for line in ["@package _global_", *comment.splitlines()])
    (directory / "experiment").mkdir(exist_ok=True)
    write_text(directory / "experiment" / f"{_NAME}.yaml", lines + text)


def _composed(ours: Mapping[str, str]) -> dict[str, Any]:
    """What the groups' options say by themselves, unchecked."""
    with composing("train") as composer:
        composed = composer.compose([f"{name}={option}" for name, option in ours.items()])
    keys = [str(key) for key in composed if key in TrainConfig.model_fields]
    plain = OmegaConf.to_container(OmegaConf.masked_copy(composed, keys))
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _lacks(config: Any, base: Any) -> bool:
    """Whether the base has a key, at any depth, that is not in the settings: no file can take it away."""
    if not isinstance(base, dict) or not isinstance(config, dict):
        return False
    return any(key not in config or _lacks(config[key], base[key]) for key in base)


def _difference(config: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """The part of the settings that the base does not say."""
    found = {}
    for key, value in config.items():
        below = base.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            if inner := _difference(value, below):
                found[key] = inner
        elif key not in base or value != below:
            found[key] = value
    return found
