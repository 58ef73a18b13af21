"""The moving average of the weights, against its recurrence."""

from __future__ import annotations

import torch

from agegender.core.types import LabelSpec
from agegender.engine.average import Average
from agegender.models.network import AgeGenderNet, build_backbone, build_network

from ..training import composed


def _network() -> AgeGenderNet:
    config = composed("model=scratch_cnn_v2", "data.image_size=16")
    return build_network(build_backbone(config.model, 16), config.age_head, LabelSpec(0, 120, 30, 20))


def _set(network: AgeGenderNet, value: float) -> None:
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.fill_(value)


def test_the_recurrence() -> None:
    network = _network()
    average, expected = Average(network, decay=0.25), 0.0
    for step, value in enumerate((3.0, 5.0, 4.0, 8.0)):
        _set(network, value)
        average.update(network)
        decay = min(0.25, (1 + step) / (10 + step)) if step else 0.0
        expected = decay * expected + (1 - decay) * value
        for name, tensor in average.network.state_dict().items():
            wanted = value if "num_batches" in name else expected
            assert torch.allclose(tensor, torch.full_like(tensor, wanted)), name
    average.restart()
    _set(network, 2.0)
    average.update(network)
    assert float(average.network.age_head.state_dict()["linear.bias"]) == 2.0


def test_the_state_goes_round() -> None:
    network = _network()
    first, second = Average(network, 0.9), Average(_network(), 0.9)
    for _ in range(3):
        first.update(network)
    second.load_state_dict(first.state_dict())
    _set(network, 7.0)
    first.update(network)
    second.update(network)
    for one, other in zip(
        first.network.state_dict().values(), second.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
