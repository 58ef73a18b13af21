"""The templates of pages and model cards."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template


def html_template(name: str) -> Template:
    """What it is given is shown as it is."""
    return _environment(autoescape=True).get_template(name)


def text_template(name: str) -> Template:
    return _environment(autoescape=False).get_template(name)


@lru_cache
def _environment(autoescape: bool) -> Environment:
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    return Environment(
        loader=folder,
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
