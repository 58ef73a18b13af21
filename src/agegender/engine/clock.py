"""Where the time goes: seconds a section, counted only where asked for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")

SECTIONS = ("data", "forward", "backward", "optimizer", "evaluation", "checkpoint")


class Clock:
    """Adds up wall seconds by section; an accelerator finishes its work before a section ends."""

    def __init__(self, is_on: bool, device: torch.device) -> None:
        self._is_on = is_on
        self._device = device
        self.seconds = dict.fromkeys(SECTIONS, 0.0)

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """The block's time goes to this section."""
        if not self._is_on:
            yield
            return
        start = self._now()
        try:
            yield
        finally:
            self.seconds[name] += self._now() - start

    def timed(self, items: Iterable[T], name: str) -> Iterator[T]:
        """The items; the time to make each goes to the section."""
        iterator = iter(items)
        while True:
            with self.section(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _now(self) -> float:
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        return time.perf_counter()
