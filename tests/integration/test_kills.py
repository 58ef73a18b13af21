"""A run that is killed and taken up again and again; scripts/kill_and_resume.py does it 30 times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_and_resume.py"


def test_three_kills_lose_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "kills", "--kills", "3", "--every", "3"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 kills (seed 0), 126 steps" in done.stdout
    assert "the same bits" in done.stdout
