"""What every backbone and age head promises, over the whole registry."""

from __future__ import annotations

import shutil
from copy import deepcopy
from functools import lru_cache
from typing import Any

import pytest
import torch

from agegender.config.compose import composing, to_plain, validate
from agegender.config.inference import AgeHeadConfig, ModelConfig
from agegender.core import registry
from agegender.core.types import LabelSpec
from agegender.engine.phases import enter_phase
from agegender.models.backbone import Backbone
from agegender.models.head import AgeHead
from agegender.models.network import AgeGenderNet, build_backbone, build_network

from ..heads import exactly, make_head
from ..training import composed

SIZES = {"dinov2_s": 28}
"""Of those that cannot take SIZE."""
CHOSEN = {"timm": ("model.backbone=test_vit",)}
LABELS = LabelSpec(age_min=0, age_max=120, age_mean=33.3, age_std=19.9)
SIZE = 32


def _plain(*overrides: str) -> dict[str, object]:
    with composing("train") as composer:
        return to_plain(composer.compose(list(overrides)))


def _size(model: str) -> int:
    return SIZES.get(model, SIZE)


def _images(model: str, count: int) -> torch.Tensor:
    size = _size(model)
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def _drawn(model: str, age_head: str = "regression") -> AgeGenderNet:
    """Drawn anew from one seed."""
    plain = _plain(f"model={model}", f"age_head={age_head}", "model.weights=null", *CHOSEN.get(model, ()))
    torch.manual_seed(0)
    backbone = build_backbone(validate(ModelConfig, {"model": plain["model"]}).model, _size(model))
    return build_network(backbone, validate(AgeHeadConfig, {"age_head": plain["age_head"]}).age_head, LABELS)


@lru_cache(maxsize=1)
def _first(model: str, age_head: str) -> AgeGenderNet:
    return _drawn(model, age_head)


def _network(model: str, age_head: str = "regression") -> AgeGenderNet:
    """A copy, as drawing takes seconds."""
    return deepcopy(_first(model, age_head))


def test_how_many_components_there_are() -> None:
    assert [len(registry.names(kind)) for kind in ("model", "age_head")] == [14, 8]


@pytest.mark.parametrize("model", registry.names("model"), scope="class")  # one model after the other
class TestBackbone:
    def test_declares_what_it_is(self, model: str) -> None:
        backbone = _network(model).backbone
        assert isinstance(backbone, Backbone)
        assert backbone.input_spec.size == _size(model)
        assert backbone.get_submodule(backbone.explain_layer) is not None
        features_BF = backbone.eval()(_images(model, 2))
        assert features_BF.shape == (2, backbone.num_features)

    def test_its_layers_hold_every_parameter_once(self, model: str) -> None:
        backbone = _network(model).backbone
        found = [id(p) for layer in backbone.layer_parameters() for p in layer]
        assert len(found) == len(set(found))
        assert set(found) == {id(p) for p in backbone.parameters()}

    def test_its_stages_say_what_it_declares(self, model: str) -> None:
        backbone = _network(model).backbone.eval()
        x = backbone.embed(_images(model, 2))
        for index, channels in enumerate(backbone.stage_channels):
            x = backbone.stage(index, x)
            assert (x.shape[1], x.ndim) == (channels, 4) if backbone.has_map else x.shape[2] == channels
        assert len(backbone.stage_layers) == len(backbone.stage_channels)
        assert list(backbone.stage_layers) == sorted(set(backbone.stage_layers))
        last = {id(p) for p in backbone.last_stage_parameters()}
        assert 0 < len(last) < len(list(backbone.parameters()))

    def test_its_stages_are_what_it_does(self, model: str) -> None:
        """The library's own forward, where one supplies it."""
        backbone: Any = _network(model).backbone.eval()
        images = _images(model, 2)
        if backbone.library == "agegender":
            expected_BF = backbone.neck(backbone.stages(images))
        else:
            expected_BF = backbone.net(images)
        assert torch.equal(backbone(images), expected_BF)

    def test_a_phase_of_any_kind_moves_each_parameter_once(self, model: str) -> None:
        network = _network(model)
        schedule = composed("schedule=two_phase", "schedule.layer_decay=0.7").schedule
        for trainable in ("heads", "last_stage", "all", ["heads", "backbone.*.bias"]):
            phase = schedule.phases["all"].model_copy(update={"trainable": trainable})
            optimizer = enter_phase(network, phase, schedule)
            moved = [id(p) for group in optimizer.param_groups for p in group["params"]]
            assert len(moved) == len(set(moved))
            assert set(moved) == {id(p) for p in network.parameters() if p.requires_grad}

    def test_layers_at_rest_lie_in_no_one_elses_way(self, model: str) -> None:
        """A class token is frozen, the blocks that stand beside it are not."""
        network = _network(model)
        network.set_trainable("last_stage")
        network.train()
        trained = 0
        for modules in network.backbone.layer_modules():
            is_trained = any(p.requires_grad for module in modules for p in module.parameters())
            trained += is_trained
            assert all(module.training == is_trained for module in modules)
        assert trained > 0

    def test_exports(self, model: str) -> None:
        backbone, images = _network(model).backbone.eval(), _images(model, 2)
        program = torch.export.export(backbone, (images,))
        assert torch.allclose(program.module()(images), backbone(images), atol=1e-5)

    def test_one_face_is_a_batch(self, model: str) -> None:
        outputs = _network(model).eval()(_images(model, 1))
        assert outputs.age_BK.shape[0] == 1
        assert outputs.gender_B2.shape == (1, 2)

    def test_every_parameter_gets_a_finite_gradient(self, model: str) -> None:
        network = _network(model).train()
        outputs = network(_images(model, 4))
        loss = network.age_head.loss(outputs.age_BK, exactly(1, 20, 50, 90))
        loss = loss + network.gender_head.loss(outputs.gender_B2, torch.tensor([0, 1, 0, 1]))
        loss.backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name

    def test_state_dict_round_trip(self, model: str) -> None:
        first, second = _network(model).eval(), _network(model).eval()
        with torch.no_grad():
            for parameter in second.parameters():
                parameter.add_(1)
        second.load_state_dict(first.state_dict())
        images = _images(model, 2)
        assert torch.equal(first(images).age_BK, second(images).age_BK)

    def test_the_seed_decides_the_weights(self, model: str) -> None:
        first, second = _network(model), _drawn(model)
        for a, b in zip(first.parameters(), second.parameters(), strict=True):
            assert torch.equal(a, b)

    def test_bfloat16_forward_is_finite(self, model: str) -> None:
        network = _network(model).eval()
        with torch.autocast("cpu", torch.bfloat16):
            outputs = network(_images(model, 2))
        assert network.age_head.decode(outputs.age_BK).years_B.isfinite().all()

    def test_frozen_means_frozen(self, model: str) -> None:
        network = _network(model)
        before = {name: tensor.clone() for name, tensor in network.backbone.state_dict().items()}
        network.set_trainable("heads")
        network.train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        outputs = network(_images(model, 4))
        (outputs.age_BK.sum() + outputs.gender_B2.square().sum()).backward()
        optimizer.step()
        for name, tensor in network.backbone.state_dict().items():
            assert torch.equal(before[name], tensor), name
        assert all(parameter.grad is None for parameter in network.backbone.parameters())
        assert all(parameter.grad is not None for parameter in network.heads())

    def test_no_autograd_node_lies_in_a_frozen_backbone(self, model: str) -> None:
        network = _network(model)
        network.set_trainable("heads")
        network.train()
        seen: list[bool] = []
        network.backbone.register_forward_hook(lambda _m, _i, out: seen.append(out.requires_grad))
        network(_images(model, 2))
        network.set_trainable("all")
        network.train()
        network(_images(model, 2))
        assert seen == [False, True]


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # what torch itself imports for this
@pytest.mark.parametrize("model", ["scratch_cnn", "resnet18", "vit_s_16"])
def test_compiles(model: str) -> None:
    backbone, images = _network(model).backbone.eval(), _images(model, 2)
    with torch.no_grad():
        compiled_BF = torch.compile(backbone)(images)
        assert torch.allclose(compiled_BF, backbone(images), atol=1e-4)


@pytest.mark.parametrize("name", registry.names("age_head"))
class TestAgeHead:
    def test_decodes_to_years_in_range(self, name: str) -> None:
        head = _network("scratch_cnn", name).age_head
        assert isinstance(head, AgeHead)
        for faces in (1, 8):
            estimate = head.decode(head(torch.randn(faces, 256) * 1000))
            assert estimate.years_B.shape == (faces,)
            assert estimate.years_B.min() >= 0
            assert estimate.years_B.max() <= 120
            if estimate.std_B is not None:
                assert estimate.std_B.shape == (faces,)
                assert estimate.std_B.isfinite().all()

    def test_a_posterior_is_what_the_estimate_follows_from(self, name: str) -> None:
        head = make_head(name, num_features=8)
        estimate = head.decode(head(3 * torch.randn(16, 8)))
        assert (head.ages_A is None) == (estimate.posterior_BA is None)
        if head.ages_A is None or estimate.posterior_BA is None:
            return
        assert estimate.posterior_BA.shape == (16, len(head.ages_A))
        assert (estimate.posterior_BA >= 0).all()
        assert torch.allclose(estimate.posterior_BA.sum(1), torch.ones(16))
        p_BA, ages_A = estimate.posterior_BA.double(), head.ages_A.double()
        mean_B = p_BA @ ages_A
        assert torch.allclose(estimate.years_B.double(), mean_B, atol=1e-3)
        assert estimate.std_B is not None
        variance_B = p_BA @ ages_A.square() - mean_B.square()
        assert torch.allclose(estimate.std_B.double(), variance_B.sqrt(), atol=1e-2)

    @pytest.mark.parametrize("width", [0, 9])
    def test_loss_is_a_scalar_that_falls_with_training(self, name: str, width: int) -> None:
        """On exact labels, and on intervals, of which the last is open; answers then lie near or inside."""
        torch.manual_seed(0)
        head = make_head(name, num_features=64)
        features_BF = torch.nn.functional.normalize(torch.randn(16, 64))
        low_B = torch.linspace(1, 90, 16).round()
        age_B2 = torch.stack([low_B, low_B + width], 1)
        age_B2[-1, 1] += 1000 * width
        optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
        losses = []
        for _ in range(100):
            loss = head.loss(head(features_BF), age_B2)
            assert loss.shape == ()
            optimizer.zero_grad()
            loss.backward()
            assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]
        years_B = head.decode(head(features_BF)).years_B.detach()
        assert (years_B - years_B.clamp(age_B2[:, 0], age_B2[:, 1])).abs().mean() < 4

    def test_its_loss_is_a_mean_over_faces(self, name: str) -> None:
        """So that the parts of a step add up."""
        head = make_head(name, num_features=8)
        raw_BK = head(torch.randn(12, 8))
        low_B = torch.linspace(0, 100, 12)
        age_B2 = torch.stack([low_B, low_B + 5 * (torch.arange(12) % 2)], 1)
        parts = [len(rows) / 12 * head.loss(raw_BK[rows], age_B2[rows]) for rows in torch.arange(12).split(5)]
        assert torch.allclose(torch.stack(parts).sum(), head.loss(raw_BK, age_B2), rtol=1e-4)
        each_B = head.losses(raw_BK, age_B2)
        alone = [head.loss(raw_BK[i : i + 1], age_B2[i : i + 1]) for i in range(12)]
        assert torch.allclose(each_B, torch.stack(alone), rtol=1e-4, atol=1e-5)

    def test_state_dict_round_trip(self, name: str) -> None:
        """Between heads of the same labels: what follows from these is not in it."""
        first, second = make_head(name, num_features=8), make_head(name, num_features=8)
        with torch.no_grad():
            for parameter in second.parameters():
                parameter.add_(0.5)
        second.load_state_dict(first.state_dict())
        assert set(first.state_dict()) == {key for key, _ in first.named_parameters()}
        features_BF = torch.randn(4, 8)
        estimates = [head.decode(head(features_BF)) for head in (first, second)]
        assert torch.equal(estimates[0].years_B, estimates[1].years_B)

    def test_the_loss_is_the_same_under_autocast(self, name: str) -> None:
        head = make_head(name, num_features=8)
        raw_BK, age_B2 = head(torch.randn(12, 8)), torch.tensor([[20.0, 29.0]]).expand(12, -1)
        with torch.autocast("cpu", torch.bfloat16):
            loss = head.loss(raw_BK, age_B2)
        assert torch.allclose(loss, head.loss(raw_BK, age_B2), rtol=1e-6)
