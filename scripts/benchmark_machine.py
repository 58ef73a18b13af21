"""The machine that a measurement ran on, in words."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def machine(hardware: dict[str, Any], load: float) -> str:
    """`load` is how many processes were at work before the measurement."""
    return (
        f"On {os.cpu_count()} cores ({_processor()}), {_memory() / 2**30:.0f} GiB of memory, "
        f"{platform.system()}; Python {platform.python_version()}, torch {hardware['torch']}, "
        f"{hardware['threads']} threads a process; the load before was {load:.1f}."
    )


def _processor() -> str:
    lines = _lines(Path("/proc/cpuinfo"))
    model = _value(lines, "model name") or platform.processor() or platform.machine()
    flags = set((_value(lines, "flags") or "").split())
    units = [name for flag, name in (("avx512f", "AVX-512"), ("amx_bf16", "AMX bf16")) if flag in flags]
    return model + (f" with {' and '.join(units)}" if units else "")


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _value(lines: Iterable[str], name: str) -> str | None:
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
