"""What was asked for: the head of a run's page, its settings, and the command that repeats it."""

from __future__ import annotations

import platform
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from agegender.config.reproduce import command
from agegender.report.page import Block, Code, Details, Text

_SHOWN = (
    "run", "ensemble", "predictions", "model.name", "attention.name", "model.sharing", "age_head.name",
    "uncertainty.name", "data.name", "split.name", "loss.lambda", "balancer.name", "seed",
)  # fmt: skip
"""The few settings that tell runs apart."""
_PLAIN = {"attention.name": "none", "model.sharing": "hard", "uncertainty.name": "none"}
"""Not worth a word."""


def title(config: dict[str, Any], name: str) -> str:
    """What was trained on what, or else the run's name."""
    data, model, run = (_setting(config, key) for key in ("data.name", "model.name", "run"))
    if config.get("predictions") is not None:
        return f"Evaluation of {Path(config['predictions']).name}"
    if config.get("ensemble") is not None:
        return f"Ensemble of {len(config['ensemble'])} runs" + ("" if data is None else f" on {data}")
    if run is not None and data is not None:
        return f"Evaluation on {data}"
    return f"{model} on {data}" if model and data else f"Run {name}"


def facts(config: dict[str, Any]) -> list[tuple[str, str]]:
    """The settings in a line, named as they are typed."""
    found = [(key, _setting(config, key)) for key in _SHOWN]
    return [
        (key.removesuffix(".name"), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for key, value in found
        if value is not None and value != _PLAIN.get(key)
    ]


def status_block(status: dict[str, Any]) -> Text:
    """What became of the run; `status` is what `read_status` returns."""
    if status["status"] == "missing":
        return Text("This folder holds no status.json: what became of the run is unknown.", warning=True)
    text = f"Status: {status['status']}"
    if status["step"] is not None:
        text += f", step {status['step']}"
    if status["seconds"] is not None:
        text += f" after {timedelta(seconds=round(status['seconds']))}"
    if status.get("resumed_from_step") is not None:
        text += f", resumed from step {status['resumed_from_step']}"
    error = f". {status['error']}" if status["error"] else "."
    return Text(text + error, warning=status["status"] != "ok")


def settings_blocks(config: dict[str, Any]) -> list[Block]:
    """The command, where there is one, and all that it composes to."""
    repeat = command(config)
    blocks: list[Block] = [] if repeat is None else [Text("The command that repeats it:"), Code(repeat, "sh")]
    whole = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return [*blocks, Details("All settings", [Code(whole, "yaml")])]


def environment() -> str:
    """Who wrote the report, for the reader who gets other figures."""
    found = []
    for name in ("agegender", "torch", "torchvision", "numpy", "pillow"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    system = f"{platform.system()} {platform.machine()}"
    return f"This report was written by Python {platform.python_version()} on {system}: {', '.join(found)}."


def _setting(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
