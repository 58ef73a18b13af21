"""Two gloo processes: what they tell each other, and how they end when one of them does."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from agegender.core.errors import RunError, UserError
from agegender.engine.device import make_fabric
from agegender.engine.ranks import Ranks
from agegender.engine.spawn import run_in_ranks


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def _joined() -> Ranks:
    return Ranks(make_fabric("cpu", devices=2))


class UnpicklableError(UserError):
    """Cannot be made anew from its message alone."""

    def __init__(self, message: str, more: int) -> None:
        super().__init__(message)
        self.more = more


def _speak(folder: Path) -> None:
    ranks = _joined()
    values = torch.tensor([1.0, 10.0]) * (ranks.rank + 1)
    assert ranks.sum(values).tolist() == [3, 30]
    assert values.tolist() == [ranks.rank + 1, 10 * (ranks.rank + 1)]
    assert ranks.broadcast({"rank": ranks.rank}) == {"rank": 0}
    assert ranks.gather(ranks.rank) == [0, 1]
    assert ranks.is_first == (ranks.rank == 0)
    with ranks.first_first():
        if ranks.is_first:
            time.sleep(0.2)
            (folder / "first").touch()
        assert (folder / "first").exists()
    (folder / str(ranks.rank)).touch()


def _break(how: str) -> None:
    """Rank 1 breaks while rank 0 waits for it."""
    ranks = _joined()
    if ranks.is_first:
        ranks.sum(torch.ones(1))
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "raise":
        raise UnpicklableError("rank 1 has no such folder", 3)
    elif how == "exit":
        os._exit(3)


def _break_first() -> None:
    with _joined().first_first():
        raise UserError("no such face")


def test_what_ranks_tell_each_other(tmp_path: Path) -> None:
    run_in_ranks(2, partial(_speak, tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"first", "0", "1"}


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("kill", RunError, "rank 1 was killed \\(SIGKILL"),
        ("raise", UserError, "rank 1 has no such folder"),
        ("exit", RunError, "rank 1 ended with exit code 3"),
    ],
)
def test_a_rank_that_breaks_ends_the_others_with_its_error(
    how: str, kind: type[Exception], words: str
) -> None:
    started = time.monotonic()
    with pytest.raises(kind, match=words) as caught:
        run_in_ranks(2, partial(_break, how))
    assert time.monotonic() - started < 60
    assert how != "raise" or "UnpicklableError: rank 1" in str(caught.value.__cause__)


def test_the_first_ranks_error_is_the_one_that_counts() -> None:
    with pytest.raises(UserError, match="no such face"):
        run_in_ranks(2, _break_first)


def test_one_alone_needs_no_group() -> None:
    ranks = Ranks(make_fabric("cpu"))
    values = torch.ones(2)
    assert (ranks.rank, ranks.size, ranks.is_first) == (0, 1, True)
    assert ranks.sum(values) is values
    assert ranks.broadcast(values) is values
    assert ranks.gather(3) == [3]
    with ranks.first_first():
        assert not torch.distributed.is_initialized()
