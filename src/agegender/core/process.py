"""Which process a number means: numbers are given out again, most of all after a crash or in a container."""

from __future__ import annotations

import os
from pathlib import Path


def process_start(pid: int) -> int | None:
    """When the process began, in clock ticks since the machine did; None where /proc does not tell."""
    fields = _fields(pid)
    return int(fields[19]) if fields else None


def _is_zombie(pid: int) -> bool:
    """Dead, but not yet waited for by its parent: in a container often for good."""
    fields = _fields(pid)
    return bool(fields) and fields[0] in "ZX"


def _fields(pid: int) -> list[str]:
    """What /proc/PID/stat says behind the name, which may hold anything; empty where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return fields if len(fields) > 19 else []


def is_alive(pid: int, start: int | None = None) -> bool:
    """Whether this machine has a process of that number, whoever owns it, that began at `start`."""
    if pid.__class__ is not int or pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (ProcessLookupError, OverflowError, TypeError):
        return False
    if _is_zombie(pid):
        return False
    now = process_start(pid)
    return start is None or now is None or now == start
