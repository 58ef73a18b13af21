"""How often: a number of optimizer steps, or a duration such as `5min`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

MAX_STEPS = 1_000_000_000
_SECONDS = {"s": 1, "min": 60, "h": 3600}
_LONGEST = 24 * 3600


def seconds_of(duration: str) -> int | None:
    """Seconds of `30s`, `5min` or `1h`; None for what is no duration."""
    match = re.fullmatch(r"([0-9]{1,9})(s|min|h)", duration)
    return int(match[1]) * _SECONDS[match[2]] if match else None


def _check(value: Any) -> int | str | None:
    if value is None or (type(value) is int and 1 <= value <= MAX_STEPS):  # True is an int, too
        return value
    if isinstance(value, str):
        seconds = seconds_of(value)
        if seconds is not None and 1 <= seconds <= _LONGEST:
            return value
    raise ValueError(
        f"must be null, a number of optimizer steps from 1 to {MAX_STEPS:,}, or a duration from 1s to 24h "
        "such as 30s, 5min or 1h"
    )


Every = Annotated[Annotated[int, Field(ge=1, le=MAX_STEPS)] | str | None, BeforeValidator(_check)]
"""null: no interval."""
