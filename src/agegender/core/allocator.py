"""Memory that a step gives back is kept for the next one."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt(3)."""
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Keep what tensors free, for the rest of the process; nothing where the C library is not glibc.

    By default glibc hands large blocks back to the kernel, which clears each page anew when the next step
    asks for it, which costs a small network on a CPU a good part of its time. The process stays as large as
    it was at its largest.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
