"""A phase's optimizer: which parameters it moves, how fast, and which of them decay."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agegender.core.types import LabelSpec
from agegender.engine.phases import enter_phase, learning_rates, set_rates
from agegender.models.network import AgeGenderNet, build_backbone, build_network

from ..training import composed


def _phase(*overrides: str, trainable: str = "all") -> tuple[AgeGenderNet, torch.optim.Optimizer]:
    lines = (
        "model=scratch_cnn_v2",
        "data.image_size=16",
        f"schedule.phases.all.trainable={trainable}",
        "schedule.phases.all.lr=0.1",
    )
    config = composed(*lines, *overrides)
    network = build_network(build_backbone(config.model, 16), config.age_head, LabelSpec(0, 120, 30, 20))
    return network, enter_phase(network, config.schedule.phases["all"], config.schedule)


def _names(network: AgeGenderNet, group: dict[str, Any]) -> set[str]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[id(parameter)] for parameter in group["params"]}


def test_two_groups_unless_more_is_asked_for() -> None:
    network, optimizer = _phase("schedule.phases.all.lr_heads=0.4")
    assert learning_rates(optimizer) == {"heads": 0.4, "backbone": 0.1}
    chosen = [name for group in optimizer.param_groups for name in _names(network, group)]
    assert sorted(chosen) == sorted(name for name, _ in network.named_parameters())


def test_heads_alone() -> None:
    network, optimizer = _phase(trainable="heads")
    assert learning_rates(optimizer) == {"heads": 0.1}
    assert all(not name.startswith("backbone") for name in _names(network, optimizer.param_groups[0]))
    assert network.frozen


def test_layers_are_slower_the_deeper_they_lie() -> None:
    network, optimizer = _phase("schedule.layer_decay=0.5")
    rates = learning_rates(optimizer)
    assert rates == {
        "heads": 0.1, "backbone": 0.1, "backbone-1": 0.05, "backbone-2": 0.025, "backbone-3": 0.0125,
        "backbone-4": 0.00625,
    }  # fmt: skip
    lowest = next(group for group in optimizer.param_groups if group["name"] == "backbone-4")
    assert "backbone.stages.0.weight" in _names(network, lowest)
    set_rates(optimizer, 0.1)
    assert learning_rates(optimizer)["backbone-1"] == pytest.approx(0.005)


@pytest.mark.parametrize("optimizer_name", ["adamw", "sgd"])
def test_norms_and_biases_do_not_decay(optimizer_name: str) -> None:
    network, optimizer = _phase("schedule.weight_decay=0.5", f"schedule.optimizer={optimizer_name}")
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in network.named_parameters():
        shrunk = before[name] if parameter.ndim == 1 else before[name] * (1 - 0.1 * 0.5)
        assert torch.allclose(parameter, shrunk), name
