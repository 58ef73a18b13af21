"""A phase's optimizer: which parameters it moves, how fast, and which of them decay."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agegender.core.errors import UserError
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


def test_the_last_stage() -> None:
    network, optimizer = _phase("schedule.layer_decay=0.5", trainable="last_stage")
    names = set.union(*(_names(network, group) for group in optimizer.param_groups))
    top = ("age_head", "gender_head", "backbone.stages.12", "backbone.stages.13", "backbone.neck")
    assert names == {name for name, _ in network.named_parameters() if name.startswith(top)}
    assert learning_rates(optimizer) == {"heads": 0.1, "backbone": 0.1, "backbone-1": 0.05}
    assert not network.frozen


def test_patterns_over_names() -> None:
    network, optimizer = _phase(trainable="[gender_head.*,backbone.neck.?.bias]")
    names = set.union(*(_names(network, group) for group in optimizer.param_groups))
    assert names == {
        "gender_head.linear.weight", "gender_head.linear.bias", "backbone.neck.1.bias",
        "backbone.neck.4.bias",
    }  # fmt: skip


def test_a_pattern_without_a_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"no parameter matches 'backbone\.layer4\.\*'; did you mean"):
        _phase(trainable="[heads,backbone.layer4.*]")


def test_frozen_layers_do_not_change_at_all() -> None:
    network, optimizer = _phase(trainable="last_stage")
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    outputs = network(torch.randn(4, 3, 16, 16))
    (outputs.age_BK.square().sum() + outputs.gender_B2.square().sum()).backward()
    optimizer.step()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(before[name], tensor)}
    assert {"backbone.stages.13.running_mean", "backbone.stages.12.weight"} <= changed
    assert all(name.startswith(("backbone.stages.1", "backbone.neck", "age", "gender")) for name in changed)
    assert not any(name.startswith("backbone.stages.1.") for name in changed)
    assert network.backbone.get_submodule("neck.3").training  # the dropout of what is trained


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
