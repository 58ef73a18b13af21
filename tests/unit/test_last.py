"""The last checkpoint's generators: an accelerator's is kept where there is one, and only for its kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agegender.engine.last import Last, device_rng, restore_rng

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def _last(rng: dict[str, Any] | None) -> Last:
    empty: dict[str, Any] = {name: {} for name in Last.__dataclass_fields__}
    return Last(**{**empty, "position": {"step": 3}, "torch_rng": torch.get_rng_state(), "device_rng": rng})


def test_the_processors_generator_draws_on() -> None:
    last = _last(device_rng(CPU))
    assert last.device_rng is None
    assert last.step == 3
    drawn = torch.rand(4)
    restore_rng(last, CPU)
    assert torch.equal(torch.rand(4), drawn)


def test_an_accelerators_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"now": torch.tensor([1, 2, 3], dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: state["now"])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda new: state.update(now=new))
    last = _last(device_rng(CUDA))
    assert last.device_rng is not None
    assert last.device_rng["type"] == "cuda"
    state["now"] = torch.zeros(3, dtype=torch.uint8)
    restore_rng(last, CPU)
    restore_rng(replace(last, device_rng=None), CUDA)
    assert state["now"].tolist() == [0, 0, 0]
    restore_rng(last, CUDA)
    assert state["now"].tolist() == [1, 2, 3]
