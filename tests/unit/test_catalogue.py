"""What backbones cost, against what torchvision publishes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agegender.core import registry
from agegender.core.torchvision_shim import import_torchvision
from agegender.models.catalogue import describe
from agegender.models.torchvision_net import TorchvisionNet

TORCHVISION = [
    name for name in registry.names("model") if issubclass(registry.find("model", name), TorchvisionNet)
]


def test_how_many_torchvision_supplies() -> None:
    assert len(TORCHVISION) == 8


@pytest.mark.parametrize("name", TORCHVISION)
def test_cost_and_parameters_are_the_published_ones_less_the_classifier(name: str) -> None:
    component = registry.find("model", name)
    facts = describe(component.Options(name=name, weights=None, sharing="hard"))
    assert facts is not None
    published = component.published().meta
    with torch.device("meta"):
        whole = import_torchvision("models").get_model(name)
    linear = [m for m in whole.get_submodule(component.classifier).modules() if isinstance(m, nn.Linear)]
    left_out = sum(parameter.numel() for module in linear for parameter in module.parameters())
    assert facts.parameters == published["num_params"] - left_out
    macs = facts.macs + sum(module.in_features * module.out_features for module in linear)
    assert macs / 1e9 == pytest.approx(published["_ops"], abs=0.001)


def test_where_weights_are_is_told(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    component = registry.find("model", "resnet18")
    options = component.Options(name="resnet18", weights="imagenet", sharing="hard")
    before = describe(options)
    place = component.place()
    place.parent.mkdir(parents=True)
    place.touch()
    after = describe(options)
    assert before is not None
    assert after is not None
    assert (before.imagenet, after.imagenet) == ("not here", "here")
