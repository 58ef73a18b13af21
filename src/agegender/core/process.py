"""Which process a number means: numbers are given out again, most of all after a crash or in a container."""

from __future__ import annotations

import os
from pathlib import Path


def process_start(pid: int) -> int | None:
    """When the process began, in clock ticks since the machine did; None where /proc does not tell."""
    try:
        return int(_stat(pid)[19])
    except (ValueError, IndexError):
        return None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none where it does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name before it may hold anything


def is_alive(pid: int, start: int | None = None) -> bool:
    """Whether this machine has a process of that number, whoever owns it, that began at `start`."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (ProcessLookupError, OverflowError, TypeError):
        return False
    if _stat(pid)[:1] == ["Z"]:  # ended; only its parent has not asked yet
        return False
    now = process_start(pid)
    return start is None or now is None or now == start
