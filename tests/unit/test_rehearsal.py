"""Networks are tried out before a run begins, without memory, weights or a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from agegender.core import registry
from agegender.core.errors import UserError
from agegender.engine import rehearsal
from agegender.engine.rehearsal import check_network
from agegender.models.network import build_backbone

from ..training import composed

OWN = {"dinov2_s": ("data.image_size=56",), "timm": ("model.backbone=test_vit",)}


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_fitting", set())


def test_all_backbones_are_covered() -> None:
    assert len(registry.names("model")) == 14


@pytest.mark.parametrize("name", registry.names("model"))
def test_every_backbone_is_tried_out_without_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[nn.Module] = []

    def build(*arguments: Any) -> Any:
        built.append(build_backbone(*arguments))
        return built[-1]

    monkeypatch.setattr(rehearsal, "build_backbone", build)
    fitting = ("schedule.phases.all.trainable=[heads,backbone.*]", "attention=self_attention")
    config = composed(f"model={name}", *fitting, *OWN.get(name, ()))
    state = torch.random.get_rng_state()
    check_network(config)
    assert torch.equal(torch.random.get_rng_state(), state)
    (backbone,) = built
    assert {parameter.device.type for parameter in backbone.parameters()} == {"meta"}
    with pytest.raises(UserError, match="no parameter matches 'neck"):
        check_network(composed(f"model={name}", "schedule.phases.all.trainable=neck.*", *OWN.get(name, ())))


@pytest.mark.parametrize("name", ["resnet18", "dinov2_s"])
def test_nothing_is_downloaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("torchvision_net._download", "timm_net.fetch_from_hub", "weights.fetch_from_hub"):
        monkeypatch.setattr(f"agegender.models.{place}", pytest.fail)
    check_network(composed(f"model={name}", "model.weights=imagenet", *OWN.get(name, ())))
    check_network(composed(f"model={name}", "model.weights=hf-hub:owner/name", *OWN.get(name, ())))


def test_jobs_that_share_a_network_build_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check_network(composed("model=scratch_cnn"))
    monkeypatch.setattr(rehearsal, "build_backbone", pytest.fail)
    check_network(composed("model=scratch_cnn", "loss.lambda=3", "seed=1"))


def test_what_does_not_fit_is_said_each_time() -> None:
    config = composed("attention=self_attention", "attention.heads=7")
    for _ in range(2):
        with pytest.raises(UserError, match=r"attention\.heads=7 does not divide the 256 channels"):
            check_network(config)
