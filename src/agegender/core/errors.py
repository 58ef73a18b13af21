"""The two kinds of failure a user meets, and how a wrong name finds its right neighbour."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AgeGenderError(Exception):
    """A failure that ends with its message alone: no traceback, `exit_code` to the shell."""

    exit_code = 1


class UserError(AgeGenderError):
    """The user's mistake, found before training: name the thing, what was found, what is allowed."""

    exit_code = 2


class RunError(AgeGenderError):
    """A run that had begun and could not go on (a NaN loss, too much unreadable data)."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """One line for an unknown name: the nearest known one first, then what is allowed."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    allowed = ", ".join(names) if len(names) <= 20 else f"{len(names)} names"
    return f"unknown {what} {name!r}{hint} (known: {allowed})"
