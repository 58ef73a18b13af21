"""Which process a number means, and a lock that one process holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agegender.core.lock import locked
from agegender.core.process import is_alive, process_start

HAS_PROC = Path("/proc/self/stat").exists()


def test_this_process_is_alive() -> None:
    assert is_alive(os.getpid())
    assert is_alive(os.getpid(), process_start(os.getpid()))
    assert not is_alive(999_999_999)


@pytest.mark.skipif(not HAS_PROC, reason="needs /proc")
def test_a_number_given_out_again_is_another_process() -> None:
    start = process_start(os.getpid())
    assert start is not None
    assert not is_alive(os.getpid(), start - 1)
    assert process_start(999_999_999) is None


@pytest.mark.skipif(not HAS_PROC, reason="needs /proc")
def test_a_process_that_ended_unasked_is_not_alive() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print('there', flush=True)"], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.read()
        until = time.monotonic() + 30
        while is_alive(other.pid) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(other.pid, 0)  # its number is still taken
        assert not is_alive(other.pid)


def test_one_process_holds_the_lock_and_its_end_frees_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code = (
        "import sys, pathlib; from agegender.core.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])) as ours: print(ours, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with locked(file) as is_ours:
            assert not is_ours
        other.kill()
    with locked(file) as is_ours:
        assert is_ours


def test_a_zombie_is_dead() -> None:
    """A killed child that nobody waited for, as in a container whose first process does not reap."""
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, but is not reaped
        assert not is_alive(child.pid)
    finally:
        child.wait()


@pytest.mark.parametrize("pid", [0, -1, True, None, "12"])
def test_what_is_no_process_number_is_no_process(pid: Any) -> None:
    assert not is_alive(pid)
