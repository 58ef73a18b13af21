"""Signals wait for the end of a stretch; the second one does not."""

from __future__ import annotations

import signal

import pytest

from agegender.engine.boundary import Boundary

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)


@BOTH
def test_the_first_signal_waits(number: signal.Signals) -> None:
    boundary, done = Boundary(), []
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), boundary.watching():  # noqa: PT012
        with boundary.whole():
            signal.raise_signal(number)
            done.append("the rest")
        done.append("what follows")
    assert done == ["the rest"]
    assert not boundary.is_inside
    assert signal.getsignal(number) is before


@BOTH
def test_the_second_one_strikes(number: signal.Signals) -> None:
    boundary, done = Boundary(), []
    with pytest.raises(KeyboardInterrupt), boundary.watching(), boundary.whole():  # noqa: PT012
        signal.raise_signal(number)
        done.append("after the first")
        signal.raise_signal(number)
        done.append("after the second")
    assert done == ["after the first"]
    assert boundary.is_inside


def test_between_stretches_a_signal_strikes() -> None:
    boundary = Boundary()
    with pytest.raises(KeyboardInterrupt), boundary.watching():  # noqa: PT012
        with boundary.whole():
            pass
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("went on")
