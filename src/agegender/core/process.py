"""Which process a number means: numbers are given out again, most of all after a crash or in a container."""

from __future__ import annotations

import os
from pathlib import Path


def process_start(pid: int) -> int | None:
    """When the process began, in clock ticks since the machine did; None where /proc does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])  # the name before it may hold anything
    except (OSError, ValueError, IndexError):
        return None


def is_alive(pid: int, start: int | None = None) -> bool:
    """Whether this machine has a process of that number, whoever owns it, that began at `start`."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (ProcessLookupError, OverflowError, TypeError):
        return False
    now = process_start(pid)
    return start is None or now is None or now == start
