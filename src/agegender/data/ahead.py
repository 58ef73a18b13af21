"""Items made by a thread while the one before is in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_DEPTH = 2


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, up to two of them made in advance."""
    iterator = iter(items)
    end = object()
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        waiting = deque(pool.submit(next, iterator, end) for _ in range(_DEPTH))
        while True:
            item = waiting.popleft().result()
            if item is end:
                return
            waiting.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)
