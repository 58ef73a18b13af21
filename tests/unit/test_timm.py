"""Networks of timm by their name: those of known families in stages, all others as one."""

from __future__ import annotations

import pytest
import torch

from agegender.config.compose import composing, to_plain, validate
from agegender.config.schema import TrainConfig
from agegender.core.errors import UserError
from agegender.models.backbones.timm import Timm
from agegender.models.hub import import_timm

CASES = {  # stages, whether they say maps, side in pixels
    "test_resnet": (4, True, 64),
    "test_efficientnet": (4, True, 64),
    "test_convnext": (4, True, 64),
    "test_vit": (4, False, 64),
    "test_vit2": (4, False, 64),
    "test_byobnet": (1, True, 64),
    "mixer_s32_224": (1, False, 64),
    "swin_tiny_patch4_window7_224": (1, True, 56),
}


def _timm(name: str, size: int | None = None) -> Timm:
    return Timm(Timm.Options(name="timm", backbone=name, weights=None, sharing="hard"), size)


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_timm_says(name: str) -> None:
    stages, has_map, size = CASES[name]
    backbone = _timm(name, size).eval()
    assert (len(backbone.stage_channels), backbone.has_map) == (stages, has_map)
    images = torch.randn(2, 3, size, size)
    features_BF = backbone(images)
    assert torch.equal(features_BF, backbone.net(images))
    assert features_BF.shape == (2, backbone.num_features)
    x = backbone.embed(images)
    for index, channels in enumerate(backbone.stage_channels):
        x = backbone.stage(index, x)
        assert x.shape[1 if has_map else 2] == channels
    held = [id(p) for layer in backbone.layer_parameters() for p in layer]
    assert len(held) == len(set(held)) == len(list(backbone.parameters()))


def test_its_input_is_what_timm_says_of_the_name() -> None:
    words = import_timm().models.get_pretrained_cfg("resnet18.a1_in1k")
    spec = _timm("resnet18.a1_in1k").input_spec
    assert (spec.size, spec.mean, spec.std) == (words.input_size[-1], words.mean, words.std)
    assert spec.interpolation == words.interpolation == "bicubic"


def test_a_size_that_it_cannot_have_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.backbone=test_vit: cannot be used for images of 8 px"):
        _timm("test_vit", 8)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "model.backbone is required: model.backbone=VALUE"),
        (["model.backbone=resnet181"], "unknown name 'resnet181'; did you mean 'resnet18'"),
        (["model.backbone=resnet18.zz"], "Invalid pretrained tag .*resnet18.a1_in1k, resnet18.a2_in1k"),
        (["model.backbone=3"], "model.backbone"),
    ],
)
def test_a_name_that_timm_has_not(lines: list[str], said: str) -> None:
    with composing("train") as composer, pytest.raises(UserError, match=said):
        validate(TrainConfig, to_plain(composer.compose(["model=timm", *lines])))
