"""Settings as nested mappings, and their dotted names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def leaves(value: Any, prefix: str = "", inner: bool = False) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything that is no mapping; with `inner`, of the mappings in it as well."""
    for key, item in value.items() if isinstance(value, dict) else ():
        name = f"{prefix}{key}"
        if isinstance(item, dict):
            if inner:
                yield name, item
            yield from leaves(item, name + ".", inner)
        else:
            yield name, item
