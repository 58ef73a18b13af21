"""Every way to predict answers alike each time, and leaves the network and all generators as they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.torchvision_shim import import_torchvision
from agegender.core.types import LabelSpec
from agegender.engine.parts import build_parts
from agegender.models.network import AgeGenderNet, Outputs, build_backbone, build_network

from ..training import composed
from ..uncertainty import make_uncertainty

NAMES = registry.names("uncertainty")
PASSES = {"none": 1, "mc_dropout": 30, "tta": 10}
BACKBONES = ("scratch_cnn_v2", "convnext_tiny")
"""Dropout of features; stochastic depth, layer norms."""


def test_how_many_there_are() -> None:
    assert sorted(PASSES) == NAMES


@pytest.fixture(scope="module", params=BACKBONES)
def network(request: pytest.FixtureRequest) -> AgeGenderNet:
    config = composed(f"model={request.param}", "model.weights=null", "age_head=gaussian")
    torch.manual_seed(0)
    backbone = build_backbone(config.model, 32, config.attention)
    spec = LabelSpec(0, 120, age_mean=35, age_std=20)
    return build_network(backbone, config.age_head, spec, "split_last_stage").eval()


def _said(network: AgeGenderNet, name: str, images_BCHW: Tensor) -> list[Outputs]:
    uncertainty = make_uncertainty(name, **({"passes": 3} if name == "mc_dropout" else {}))
    uncertainty.check(network.backbone)
    with torch.no_grad():
        said = list(uncertainty.passes(network, images_BCHW))
    assert len(said) == uncertainty.count
    return said


def _images(count: int = 5) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_passes_change_nothing_and_are_the_same_again(name: str, network: AgeGenderNet) -> None:
    assert make_uncertainty(name).count == PASSES[name]
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    first = _said(network, name, _images())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    after = network.state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    torch.manual_seed(99)  # whatever is drawn in between
    for one, other in zip(first, _said(network, name, _images()), strict=True):
        assert one.age_BK.shape == (5, 2)
        assert one.gender_B2.shape == (5, 2)
        assert torch.equal(one.age_BK, other.age_BK)
        assert torch.equal(one.gender_B2, other.gender_B2)


@pytest.mark.parametrize("name", NAMES)
def test_no_face_depends_on_its_batch(name: str, network: AgeGenderNet) -> None:
    images = _images()
    together = _said(network, name, images)
    for row in (0, 4):
        for whole, alone in zip(together, _said(network, name, images[row : row + 1]), strict=True):
            torch.testing.assert_close(alone.age_BK[0], whole.age_BK[row], rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(alone.gender_B2[0], whole.gender_B2[row], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_passes_differ(name: str, network: AgeGenderNet) -> None:
    said = _said(network, name, _images())
    for number, one in enumerate(said):
        for other in said[:number]:
            assert not torch.allclose(one.age_BK, other.age_BK, rtol=1e-6, atol=0)
    if name == "tta":
        with torch.no_grad():
            assert torch.equal(said[0].age_BK, network(_images()).age_BK)


class _Rates(nn.Module):
    """Stands where a network does; what its only module passes on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.module(x)
        return said


def _stochastic_depth() -> nn.Module:
    depth: nn.Module = import_torchvision("ops").StochasticDepth(0.25, "row")
    return depth


def _drop_path() -> nn.Module:
    drop_path: nn.Module = pytest.importorskip("timm.layers").DropPath(0.25)
    return drop_path


@pytest.mark.parametrize(
    ("make", "units"),
    [
        (lambda: nn.Dropout(0.25), 4 * 6 * 6),
        (lambda: nn.Dropout2d(0.25), 4),
        (_stochastic_depth, 1),
        (_drop_path, 1),
    ],
)
def test_dropout_drops_at_its_rate_and_keeps_the_mean(make: Callable[[], nn.Module], units: int) -> None:
    uncertainty = make_uncertainty("mc_dropout", passes=1000)
    ones = torch.ones(2, 4, 6, 6)
    kept = torch.stack(list(uncertainty.passes(_Rates(make()), ones)))  # type: ignore[arg-type]
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert torch.equal(kept[:, 0], kept[:, 1])  # a pass drops the same of every face
    of_units = kept[:, 0].flatten(1).view(1000, units, -1)
    assert (of_units == of_units[:, :, :1]).all()
    error = (1 / 3 / (1000 * units)) ** 0.5  # standard deviation of the mean of so many Bernoulli draws
    assert kept.mean().item() == pytest.approx(1, abs=4 * error)


def test_a_model_without_dropout_is_refused_before_its_faces_are_read() -> None:
    def read(_spec: object) -> None:
        raise AssertionError("no face is needed to tell")

    for model in ("scratch_cnn", "resnet18", "vit_b_16", "mobilenet_v3_small"):
        config = composed(
            f"model={model}", "model.weights=null", "uncertainty=mc_dropout", "data.image_size=32"
        )
        with pytest.raises(UserError, match="uncertainty=mc_dropout: the model has no dropout above 0"):
            build_parts(config, read)  # type: ignore[arg-type]


def test_the_models_that_the_message_names_have_dropout() -> None:
    for model in ("scratch_cnn_v2", "convnext_tiny", "efficientnet_v2_s"):
        config = composed(f"model={model}", "model.weights=null")
        make_uncertainty("mc_dropout").check(build_backbone(config.model, 32))


def test_a_crop_of_no_pixel_is_refused() -> None:
    backbone = build_backbone(composed("model=scratch_cnn").model, 16)
    with pytest.raises(UserError, match=r"uncertainty.crop=0.03: less than a pixel of 16"):
        make_uncertainty("tta", crop=0.03).check(backbone)
    make_uncertainty("tta", crop=0.0625).check(backbone)
    make_uncertainty("tta", crop=0).check(backbone)


def test_compiled_code_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not heed the hooks that drop."""
    config = composed("model=scratch_cnn_v2")
    network = build_network(build_backbone(config.model, 16), config.age_head, LabelSpec(0, 120, 35, 20))
    plain = network._below
    monkeypatch.setattr(torch, "compile", lambda _function: "compiled")
    network.compile_features()
    assert "_below" in vars(network)
    network.uncompile_features()
    assert network._below == plain
    network.uncompile_features()  # nothing to undo
