"""Somebody outside looks on while a run trains, and may end it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Watch = Callable[[dict[str, Any]], None]
"""Is shown the last row of history.csv in front of each further epoch; may raise `Stopped`."""


class Stopped(KeyboardInterrupt):
    """Whoever looks on has seen enough: the run ends as an interrupted one, which can go on."""


def unwatched(_row: dict[str, Any]) -> None:
    """Most runs go on unseen."""
