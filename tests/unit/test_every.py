"""Intervals between checkpoints: what is one, and what it means."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agegender.config.every import Every, seconds_of

EVERY: TypeAdapter[Any] = TypeAdapter(Every)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("30s", 30), ("5min", 300), ("1h", 3600), ("24h", 86400)]
)
def test_durations(text: str, seconds: int) -> None:
    assert EVERY.validate_python(text) == text
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("value", [None, 1, 500, 1_000_000_000])
def test_steps(value: int | None) -> None:
    assert EVERY.validate_python(value) == value


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        True,
        1.5,
        1_000_000_001,
        "",
        "5",
        "0s",
        "25h",
        "1441min",
        "5 min",
        "5m",
        "٣s",
        "1.5h",
        "5min ",
        "MIN",
    ],
)
def test_what_is_none(value: object) -> None:
    with pytest.raises(ValidationError, match=r"null, a number of optimizer steps from 1 .* 30s, 5min or 1h"):
        EVERY.validate_python(value)
