"""The last checkpoint's generators: an accelerator's is kept where there is one, and only for its kind."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agegender.engine.last import Last, restore_rng, rng_state

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def _last(*rng: dict[str, Any]) -> Last:
    empty: dict[str, Any] = {name: {} for name in Last.__dataclass_fields__}
    return Last(**{**empty, "position": {"step": 3}, "rng": list(rng)})


def test_the_processors_generator_draws_on() -> None:
    last = _last(rng_state(CPU))
    assert last.rng[0]["device"] is None
    assert last.step == 3
    drawn = torch.rand(4)
    restore_rng(last, CPU, rank=0)
    assert torch.equal(torch.rand(4), drawn)


def test_each_rank_has_its_own() -> None:
    first = rng_state(CPU)
    drawn = torch.rand(4)
    second = rng_state(CPU)
    later = torch.rand(4)
    last = _last(first, second)
    restore_rng(last, CPU, rank=1)
    assert torch.equal(torch.rand(4), later)
    restore_rng(last, CPU, rank=0)
    restore_rng(last, CPU, rank=2)  # one that the checkpoint does not know
    assert torch.equal(torch.rand(4), drawn)


def test_an_accelerators_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"now": torch.tensor([1, 2, 3], dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: state["now"])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda new: state.update(now=new))
    last = _last(rng_state(CUDA))
    assert last.rng[0]["type"] == "cuda"
    state["now"] = torch.zeros(3, dtype=torch.uint8)
    restore_rng(last, CPU, rank=0)
    restore_rng(_last({**last.rng[0], "device": None}), CUDA, rank=0)
    assert state["now"].tolist() == [0, 0, 0]
    restore_rng(last, CUDA, rank=0)
    assert state["now"].tolist() == [1, 2, 3]
