"""The ranks of one machine: started together, told of signals together, ended together."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from lightning_fabric.plugins.environments.lightning import find_free_network_port
from torch.multiprocessing.spawn import start_processes

from agegender.core.errors import AgeGenderError, RunError, UserError
from agegender.engine.ranks import PeerError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_GRACE = 5.0
"""Seconds that the others have to end by themselves after one has failed."""

_ENOUGH = 3
"""Signals: the first asks, the second cuts the step short, the third leaves no choice."""


@dataclass(frozen=True)
class _End:
    """How a rank ended: well without an error, KeyboardInterrupt where it was told to."""

    error: BaseException | None = None
    details: str = ""
    """The traceback."""
    moment: float = field(default_factory=time.time)

    @property
    def is_failure(self) -> bool:
        return self.error is not None and not isinstance(self.error, KeyboardInterrupt)


def run_in_ranks(size: int, work: Callable[[], None]) -> None:
    """Call `work` in `size` new processes and wait for all of them; this one stays outside of their group.

    Raises the error of the rank that failed first, KeyboardInterrupt where they were interrupted. SIGINT and
    SIGTERM go to every rank.
    """
    resource_tracker.ensure_running()  # lest it be started in between, which unblocks signals
    pipes = [get_context("spawn").Pipe(duplex=False) for _ in range(size)]
    senders = [sender for _, sender in pipes]
    processes: list[BaseProcess] = []
    with _forwarding(processes) as signals:
        with _blocked():  # the ranks are born with it, and so cannot be hit before they can bear it
            arguments = (size, find_free_network_port(), senders, work)
            start: Any = start_processes  # untyped in torch
            processes += start(_rank, arguments, size, join=False, start_method="spawn").processes
        ends = _wait(processes, [reader for reader, _ in pipes])
    if len(signals) >= _ENOUGH:
        raise KeyboardInterrupt
    _raise_first(ends)


def _rank(rank: int, size: int, port: int, senders: Sequence[Connection], work: Callable[[], None]) -> None:
    """A rank's whole life; its environment is the one that torchrun makes."""
    os.setpgid(0, 0)  # Ctrl-C comes through the process that started it, and so once
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
    }
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        work()
        end = _End()
    except BaseException as error:
        end = _End(_portable(error), traceback.format_exc())
    senders[rank].send(end)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)  # all is said; threads of the process group that is left may end in std::terminate


def _portable(error: BaseException) -> BaseException:
    """The error itself, or what it says where it does not survive the way to another process."""
    try:
        return_trip = pickle.loads(pickle.dumps(error))
    except Exception:
        return_trip = None
    if type(return_trip) is type(error):
        return error
    if isinstance(error, AgeGenderError):
        return UserError(str(error)) if error.exit_code == UserError.exit_code else RunError(str(error))
    return RunError(f"{type(error).__name__}: {error}")


def _wait(processes: Sequence[BaseProcess], readers: Sequence[Connection]) -> dict[int, _End]:
    """How each rank ended; where one fails, the others are given a while, and then no choice."""
    ends: dict[int, _End] = {}
    alive = dict(enumerate(processes))
    deadline = None
    while alive:
        sentinels = [process.sentinel for process in alive.values()]
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            for process in alive.values():
                process.kill()
            break
        connection.wait([*sentinels, *(readers[rank] for rank in alive)], left)
        for rank, process in list(alive.items()):
            is_over = not process.is_alive()
            if readers[rank].poll():
                ends[rank] = readers[rank].recv()
            if is_over:
                ends.setdefault(rank, _End(_death(rank, process.exitcode)))
                del alive[rank]
        is_lost = any(end.is_failure for end in ends.values()) or (0 in ends and ends[0].error is not None)
        if is_lost and deadline is None:
            deadline = time.monotonic() + _GRACE
    for process in processes:
        process.join()
    return ends


def _death(rank: int, exit_code: int | None) -> RunError:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = ": often a lack of memory" if name == "SIGKILL" else ""
        return RunError(f"rank {rank} was killed ({name}{hint})")
    return RunError(f"rank {rank} ended with exit code {exit_code} and without a word")


def _raise_first(ends: dict[int, _End]) -> None:
    """What went wrong first, and of its own: a rank that lost another one comes last."""
    wrong = [end for end in ends.values() if end.error is not None]
    if not wrong:
        return

    def order(end: _End) -> tuple[int, float]:
        if isinstance(end.error, PeerError):
            return 2, end.moment
        return int(not end.is_failure), end.moment

    first = min(wrong, key=order)
    assert first.error is not None
    raise first.error from (RuntimeError(first.details) if first.details else None)


@contextmanager
def _forwarding(processes: list[BaseProcess]) -> Iterator[list[int]]:
    """Hand both signals on to the ranks until the block ends; nothing where this is not the main thread.

    Gives the list that they are noted in.
    """
    signals: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        signals.append(number)
        for process in processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGKILL if len(signals) >= _ENOUGH else number)

    before = {}
    try:
        for number in _SIGNALS:
            before[number] = signal.signal(number, forward)
    except ValueError:
        yield signals
        return
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _blocked() -> Iterator[None]:
    """Signals wait until the block ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
