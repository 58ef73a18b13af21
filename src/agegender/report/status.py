"""What became of a run, read from its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agegender.core.files import read_json
from agegender.core.process import is_alive

_DAMAGED = {"status": "killed", "error": "status.json is damaged", "seconds": None, "step": None}


def is_run(path: Path) -> bool:
    return (path / "status.json").is_file()


def is_sweep(path: Path) -> bool:
    return (path / "sweep.json").is_file()


def read_status(run_dir: Path) -> dict[str, Any]:
    """What status.json holds; `running` of a process that is gone is `killed`, no file is `missing`."""
    try:
        status: dict[str, Any] = read_json(run_dir / "status.json")
    except (FileNotFoundError, NotADirectoryError):
        return {"status": "missing", "error": None, "seconds": None, "step": None}
    except ValueError:
        return _DAMAGED
    if not isinstance(status, dict) or not status.keys() >= {"status", "pid", "error", "seconds", "step"}:
        return _DAMAGED
    if status["status"] == "running" and not is_alive(status["pid"], status.get("process_start")):
        status["status"] = "killed"
    return status
