"""What every attention and every way to share promises, on a network from scratch and on a ResNet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from agegender.config.options import ModelOptions
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.types import LabelSpec
from agegender.engine.phases import enter_phase
from agegender.models.network import AgeGenderNet, build_backbone, build_network
from agegender.models.sharing.build import SHARINGS

from ..training import composed

LABELS = LabelSpec(age_min=0, age_max=120, age_mean=33.3, age_std=19.9)
MODELS = {"scratch_cnn": 16, "resnet34": 32}
"""Models with their image sizes."""
ATTENTIONS = registry.names("attention")
WIDE = ("backbone.neck.", "age_head.", "gender_head.")
COMBINED = [
    *((model, attention, "hard") for model, attention in product(MODELS, ATTENTIONS)),
    *((model, "none", sharing) for model, sharing in product(MODELS, SHARINGS) if sharing != "hard"),
    ("scratch_cnn", "cbam", "split_last_stage"),
    ("scratch_cnn", "self_attention", "split_last_stage"),
    ("scratch_cnn", "self_attention", "mtan"),
]


def _network(model: str, attention: str = "none", sharing: str = "hard", *lines: str) -> AgeGenderNet:
    size = MODELS[model]
    config = composed(
        f"model={model}", "model.weights=null", f"model.sharing={sharing}", f"attention={attention}",
        f"data.image_size={size}", *lines,
    )  # fmt: skip
    torch.manual_seed(0)
    backbone = build_backbone(config.model, size, config.attention)
    return build_network(backbone, config.age_head, LABELS, config.model.sharing)


def _images(model: str, faces: int = 4) -> Tensor:
    return torch.randn(faces, 3, MODELS[model], MODELS[model], generator=torch.Generator().manual_seed(1))


def _loss(network: AgeGenderNet, images: Tensor) -> Tensor:
    outputs = network(images)
    gender_loss: Tensor = network.gender_head.loss(outputs.gender_B2, torch.arange(len(images)) % 2)
    age_loss: Tensor = outputs.age_BK.square().sum()
    return age_loss + gender_loss


@dataclass(frozen=True)
class Case:
    """A network after some steps, so that nothing is as it began, and how it was made."""

    chosen: tuple[str, str, str]
    network: AgeGenderNet
    images: Tensor

    def fresh(self) -> AgeGenderNet:
        return _network(*self.chosen)


def _case(model: str, attention: str, sharing: str) -> Case:
    case = Case((model, attention, sharing), _network(model, attention, sharing), _images(model))
    optimizer = torch.optim.SGD(case.network.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        _loss(case.network.train(), case.images).backward()
        optimizer.step()
    return case


@pytest.fixture(scope="module", params=COMBINED, ids="-".join)
def case(request: pytest.FixtureRequest) -> Case:
    return _case(*request.param)


def test_how_many_there_are() -> None:
    assert len(ATTENTIONS) == 5
    assert tuple(SHARINGS) == get_args(ModelOptions.model_fields["sharing"].annotation)
    assert len(COMBINED) == 17


def test_begins_as_the_plain_network(case: Case) -> None:
    """Scratch networks under self_attention lose their linear layers: there, as the mean of positions."""
    model, attention, _ = case.chosen
    network, plain = case.fresh().eval(), _network(model).eval()
    if attention == "self_attention":
        plain.backbone.pool = lambda x: x.mean(dim=(2, 3))  # type: ignore[method-assign]
    expected_BF = plain.backbone(case.images)
    for features_BF in network.features(case.images).chunk(network.sharing.branches, dim=1):
        torch.testing.assert_close(features_BF, expected_BF, rtol=1e-5, atol=1e-6)
    if network.backbone.num_features == plain.backbone.num_features:
        torch.testing.assert_close(
            network(case.images).age_BK, plain(case.images).age_BK, rtol=1e-5, atol=1e-6
        )


def test_every_parameter_gets_a_finite_gradient(case: Case) -> None:
    network = case.network.train()
    network.zero_grad()
    _loss(network, case.images).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    for part in (*network.backbone.attention, network.backbone.pooling, *network.sharing.children()):
        gradients = [] if part is None else [parameter.grad for parameter in part.parameters()]
        assert not gradients or any(gradient.any() for gradient in gradients if gradient is not None)


def test_a_tasks_own_parameters_learn_from_it_alone(case: Case) -> None:
    network = case.network.train()
    own_T, shared = network.own_parameters(), network.shared_parameters()
    every = [id(parameter) for parameters in (*own_T, shared) for parameter in parameters]
    assert sorted(every) == sorted(id(parameter) for parameter in network.parameters())
    for task, other in ((0, 1), (1, 0)):
        outputs = network(case.images)
        raw_BK = (outputs.age_BK, outputs.gender_B2)[task]
        wanted = [*own_T[task], *shared, *own_T[other]]
        found = torch.autograd.grad(raw_BK.square().sum(), wanted, allow_unused=True)
        reached = len(own_T[task]) + len(shared)
        assert all(gradient is not None for gradient in found[:reached])
        assert all(gradient is None for gradient in found[reached:])


def test_layers_hold_every_parameter_once(case: Case) -> None:
    schedule = composed("schedule.layer_decay=0.5", "schedule.phases.all.lr=0.1").schedule
    optimizer = enter_phase(case.network, schedule.phases["all"], schedule)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in optimizer.param_groups)
    assert rates.keys() == {id(parameter) for parameter in case.network.parameters()}
    assert {rates[id(parameter)] for parameter in case.network.sharing.parameters()} <= {0.1}


def test_one_face_is_a_batch(case: Case) -> None:
    network = case.network.eval()
    together, alone = network(case.images), network(case.images[:1])
    assert alone.gender_B2.shape == (1, 2)
    torch.testing.assert_close(alone.age_BK, together.age_BK[:1], rtol=1e-4, atol=1e-5)


def test_state_dict_round_trip(case: Case) -> None:
    first, second = case.network.eval(), case.fresh().eval()
    said = first(case.images).gender_B2
    assert not torch.equal(said, second(case.images).gender_B2)
    second.load_state_dict(first.state_dict())
    assert torch.equal(said, second(case.images).gender_B2)


def test_the_seed_decides_the_weights(case: Case) -> None:
    first, second = (case.fresh().state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    plain = _network(case.chosen[0]).state_dict()
    if case.chosen[1] == "self_attention":  # what comes after its features has another width
        plain = {name: tensor for name, tensor in plain.items() if not name.startswith(WIDE)}
    assert all(torch.equal(first[name], tensor) for name, tensor in plain.items())


def test_bfloat16_forward_is_finite(case: Case) -> None:
    network = case.network.eval()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(case.images)
    assert outputs.age_BK.isfinite().all()
    torch.testing.assert_close(outputs.gender_B2, network(case.images).gender_B2, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_exports_with_every_attention(attention: str) -> None:
    _check_export(_case("scratch_cnn", attention, "hard"))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_exports_with_every_sharing(sharing: str) -> None:
    _check_export(_case("scratch_cnn", "none", sharing))


def _check_export(case: Case) -> None:
    network = _Both(case.network.eval())
    with torch.no_grad():
        exported = torch.export.export(network, (case.images,)).module()
        torch.testing.assert_close(exported(case.images), network(case.images))


class _Both(nn.Module):
    """Plain tensors in place of `Outputs`, which no exported program returns."""

    def __init__(self, network: AgeGenderNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.network(images_BCHW)
        return outputs.age_BK, outputs.gender_B2


@pytest.mark.parametrize("sharing", ["split_last_stage", "mtan"])
def test_a_frozen_network_says_both_tasks_features(sharing: str) -> None:
    network = _network("scratch_cnn", "cbam", sharing)
    network.set_trainable("heads")
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    features_BF = network.features(_images("scratch_cnn"))
    assert features_BF.shape == (4, network.feature_width) == (4, 2 * network.backbone.num_features)
    assert not features_BF.requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_the_last_stage_that_trains_is_each_tasks() -> None:
    network = _network("resnet34", "se", "split_last_stage")
    names = network.trainable_names("last_stage")
    below = {name for name in names if not name.startswith(("age_head.", "gender_head."))}
    assert below
    assert all(
        name.startswith(("backbone.net.layer4.", "backbone.attention.3.", "sharing.")) for name in below
    )
    copies = {name for name, _ in network.sharing.named_parameters(prefix="sharing")}
    assert copies <= below
    assert len(copies) == len(below) / 2  # no weight below the last stage was copied


@pytest.fixture
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that says it has no map."""
    monkeypatch.setattr(registry.find("model", "scratch_cnn"), "has_map", False)


@pytest.mark.usefixtures("_tokens")
@pytest.mark.parametrize("attention", ["cbam", "se", "eca"])
def test_gates_need_a_map(attention: str) -> None:
    allowed = r"\(allowed: none, self_attention\)"
    with pytest.raises(
        UserError, match=rf"^attention={attention} .* model=scratch_cnn says tokens {allowed}$"
    ):
        composed("model=scratch_cnn", f"attention={attention}", "seed=77")


@pytest.mark.usefixtures("_tokens")
def test_mtan_needs_a_map() -> None:
    allowed = r"\(allowed: hard, split_last_stage\)"
    with pytest.raises(UserError, match=rf"^model.sharing=mtan .* says tokens {allowed}$"):
        composed("model=scratch_cnn", "model.sharing=mtan", "seed=77")


def test_a_backbone_that_knows_it_only_once_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    config = composed("model=scratch_cnn", "attention=se", "data.image_size=16")
    monkeypatch.setattr(registry.find("model", "scratch_cnn"), "has_map", False)
    with pytest.raises(UserError, match=r"^attention=se needs feature maps"):
        build_backbone(config.model, 16, config.attention)


def test_heads_that_do_not_divide_the_channels() -> None:
    with pytest.raises(UserError, match=r"^attention.heads=7 does not divide the 128 channels"):
        _network("scratch_cnn", "self_attention", "hard", "attention.heads=7")
