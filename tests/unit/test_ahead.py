"""Items made in advance are the same items."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import cast

import pytest

from agegender.data.ahead import ahead


@pytest.mark.parametrize("count", [0, 1, 2, 3, 20])
def test_the_same_items_in_order(count: int) -> None:
    assert list(ahead(range(count))) == list(range(count))


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    iterator = ahead(items())
    assert next(iterator) == 1
    with pytest.raises(ValueError, match="broken"):
        next(iterator)


def test_at_most_two_are_made_in_advance() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    iterator = ahead(items())
    next(iterator)
    cast("Generator[int, None, None]", iterator).close()
    assert len(made) <= 3
