"""Ctrl-C and SIGTERM while a network trains: they wait until what was begun is whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Boundary:
    """Marks the stretches that must not be cut: a step, an epoch's end.

    The first signal within one raises KeyboardInterrupt at its end, a second one at once; outside they
    strike at once, as everywhere. Where several processes train together (`alone` is false) the first one
    waits, wherever it strikes, for the end of a stretch in which all of them have `agreed` to stop.
    """

    def __init__(self, alone: bool = True) -> None:
        self.is_inside = False
        """Stays set where a stretch was cut short after all: what it was about is then half done."""
        self.is_asked = False
        """A signal is waiting."""
        self.is_agreed = False
        self._alone = alone

    @contextmanager
    def whole(self) -> Iterator[None]:
        """A stretch that the first signal does not cut."""
        self.is_inside = True
        yield
        self.is_inside = False
        if self.is_agreed or (self.is_asked and self._alone):
            self.is_asked = self.is_agreed = False
            raise KeyboardInterrupt

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Handle both signals until the block ends; nothing where this is not the main thread."""
        before = {}
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, self._strike)
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _strike(self, _signal: int, _frame: FrameType | None) -> None:
        if not self.is_asked and (self.is_inside or not self._alone):
            self.is_asked = True
            return
        raise KeyboardInterrupt
