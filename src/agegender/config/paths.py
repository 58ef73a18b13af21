"""Path values with any characters: quoted before Hydra's grammar sees them.

`data.root=~/My Faces (2024)` is a lexer error in bare Hydra. The entries therefore quote the values
of path keys; `~` is expanded when the schema reads them.
"""

from __future__ import annotations

import re

from hydra.core.override_parser.types import Quote, QuotedString

from agegender.core.nested import source_key

PATH_KEYS = frozenset(
    {
        "data.root", "data.csv", "model.weights", "tracking.mlflow", "run", "predictions", "input", "output",
        "root", "resume", "sweep.resume",
    }
)  # fmt: skip
SINGLE_KEYS = frozenset({"resume", "sweep.resume"})
"""Path keys that a sweep cannot vary: a comma in their value is a comma."""
HYDRA_KEYS = frozenset({"hydra.run.dir", "hydra.sweep.dir"})
"""Paths whose interpolations (`${now:%H}`) are meant."""
PATH_LIST_KEYS = frozenset({"runs", "compare", "ensemble"})
WORDS = frozenset({"null", "imagenet", "???"})
"""Values of path keys that are words, not paths."""


def is_path(key: str) -> bool:
    """Whether the key's value is a path, also that of a source in a mixed set."""
    return source_key(key) in PATH_KEYS


def quote_paths(override: str, multirun: bool) -> str:
    """The override with its path value quoted; under `-m` an unquoted comma separates values."""
    prefixed, equals, value = override.partition("=")
    key = prefixed.lstrip("+")
    if not equals or not value:
        return override
    if key in PATH_LIST_KEYS:
        inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
        return f"{prefixed}=[{','.join(_quote(part.strip()) for part in _split(inner) if part.strip())}]"
    if key in HYDRA_KEYS:
        return f"{prefixed}={_quote(value, literal=False)}"
    if is_path(key):
        several = multirun and key not in SINGLE_KEYS
        return f"{prefixed}={','.join(map(_quote, _split(value) if several else [value]))}"
    return override


def _is_quoted(text: str) -> bool:
    return len(text) >= 2 and text[0] == text[-1] and text[0] in "'\""


def _quote(value: str, literal: bool = True) -> str:
    if value in WORDS:
        return value
    if literal:
        value = re.sub(r"(?<!\\)\$\{", r"\\${", value)  # in a file name that is no interpolation
    return value if _is_quoted(value) else QuotedString(text=value, quote=Quote.single).with_quotes()


def _split(text: str) -> list[str]:
    """Split at commas outside quotes."""
    parts, quote = [""], ""
    for character in text:
        if character == "," and not quote:
            parts.append("")
            continue
        if character == quote:
            quote = ""
        elif not quote and character in "'\"" and not parts[-1].strip():
            quote = character
        parts[-1] += character
    return parts
