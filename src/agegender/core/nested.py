"""Settings as nested mappings, and their dotted names."""

from __future__ import annotations

import re
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


def source_key(name: str) -> str:
    """What a source outside a mixed set calls its setting: data.root for data.sources.LABEL.root."""
    return re.sub(r"^data\.sources\.[^.]+\.", "data.", name)
