"""A step's gradient is that of its whole batch, however it is shared out; bad numbers change nothing."""

from __future__ import annotations

from contextlib import nullcontext
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from agegender.balancing.fixed import Fixed
from agegender.core.types import LabelSpec
from agegender.data.batches import Batches, Share, StepBatch
from agegender.engine.clock import Clock
from agegender.engine.ranks import Ranks
from agegender.engine.step import NonFiniteError, Stepper, Taken
from agegender.models.network import AgeGenderNet, build_backbone, build_network

from ..augmentation import augmentation
from ..training import composed

CPU = torch.device("cpu")
WHOLE = Share()


class _Alone:
    """Ranks of one process."""

    rank, size = 0, 1

    def sum(self, values: Tensor) -> Tensor:
        return values


def _network() -> AgeGenderNet:
    torch.manual_seed(0)
    config = composed("model=scratch_cnn", "data.image_size=16")
    return build_network(build_backbone(config.model, 16), config.age_head, LabelSpec(0, 120, 30, 20))


def _stepper(network: AgeGenderNet, clip_norm: float | None = None) -> Stepper:
    return Stepper(
        network,
        Fixed(Fixed.Options(name="fixed")),
        50.0,
        clip_norm,
        nullcontext,
        torch.amp.GradScaler("cpu", enabled=False),
        cast("Ranks", _Alone()),
        Clock(False, CPU),
    )


def _batch(share: Share = WHOLE, faces: int = 13) -> StepBatch:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (faces, 16, 16, 3), dtype=np.uint8)
    table = pd.DataFrame(
        {
            "age": [np.nan if i % 3 == 1 else 20.0 + i for i in range(faces)],
            "age_min": np.nan,
            "age_max": np.nan,
            "gender": [("female", "male", None)[i % 4 % 3] for i in range(faces)],
        }
    )
    batches = Batches(table, pixels, _network().input_spec, 64, CPU, share)
    (step,) = batches.shuffled(np.arange(faces), 0, 1, augmentation())
    return step


def _gradient(network: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def _take(network: AgeGenderNet, batch: StepBatch, clip_norm: float | None = None) -> Taken:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    return _stepper(network, clip_norm).take(network, optimizer, batch, 1)


@pytest.mark.parametrize("parts", [2, 5, 13, 20])
def test_accumulation_is_the_whole_batch(parts: int) -> None:
    """Also where parts have labels of one task alone, or no face at all."""
    whole, split = _network(), _network()
    expected = _take(whole, _batch())
    taken = _take(split, _batch(Share(parts=parts)))
    assert taken.losses_T == pytest.approx(expected.losses_T, rel=1e-5)
    assert taken.grad_norm == pytest.approx(expected.grad_norm, rel=1e-4)
    assert torch.allclose(_gradient(split), _gradient(whole), rtol=1e-3, atol=1e-4)
    assert taken.weights_T == expected.weights_T == [1.0, 50.0]


def test_ranks_share_the_whole_batch() -> None:
    """What three ranks compute adds up to what one does."""
    network = _network()
    _take(network, _batch())
    whole, sums, losses = _gradient(network), torch.zeros(1), np.zeros(2)
    for rank in range(3):
        taken = _take(network, _batch(Share(rank=rank, ranks=3, parts=2)))
        sums, losses = sums + _gradient(network), losses + taken.losses_T
    assert torch.allclose(sums, whole, rtol=1e-3, atol=1e-4)
    assert losses == pytest.approx(_take(network, _batch()).losses_T, rel=1e-5)


def test_a_long_gradient_is_shortened() -> None:
    plain, clipped = _network(), _network()
    norm = _take(plain, _batch()).grad_norm
    assert norm == pytest.approx(float(_gradient(plain).norm()), rel=1e-5)
    assert _take(clipped, _batch(), clip_norm=norm / 4).grad_norm == pytest.approx(norm, rel=1e-5)
    assert torch.allclose(_gradient(clipped) * 4, _gradient(plain), rtol=1e-3, atol=1e-6)
    _take(clipped, _batch(), clip_norm=norm * 2)
    assert torch.allclose(_gradient(clipped), _gradient(plain))


@pytest.mark.parametrize(("where", "what"), [("loss", "age loss is nan"), ("gradient", "gradient's norm is")])
def test_bad_numbers_change_nothing(where: str, what: str) -> None:
    network = _network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    with pytest.MonkeyPatch.context() as patch:
        if where == "loss":
            patch.setattr(network.age_head, "loss", lambda raw, _age: raw.sum() * torch.nan)
        else:  # the root of 0 has no slope
            patch.setattr(network.age_head, "loss", lambda raw, _age: (raw * 0).sum().sqrt())
        with pytest.raises(NonFiniteError, match=f"step 7: the {what}"):
            _stepper(network).take(network, optimizer, _batch(), 7)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not optimizer.state


def test_flags_go_through() -> None:
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    taken = _stepper(network).take(network, optimizer, _batch(Share(parts=3)), 1, (True, False))
    assert taken.flags == [True, False]
