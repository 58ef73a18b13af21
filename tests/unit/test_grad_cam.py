"""Grad-CAM against class activation maps, and its picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import write_json
from agegender.core.types import InputSpec, LabelSpec
from agegender.engine.explanation import EXPLANATION, may_show
from agegender.models.attention.cbam import CBAM
from agegender.models.backbone import HALF, Backbone
from agegender.models.gender_head import GenderHead
from agegender.models.grad_cam import grad_cam
from agegender.models.grid_head import GridHead
from agegender.models.heads.regression import RegressionHead
from agegender.models.network import AgeGenderNet, build_backbone, build_network
from agegender.models.sharing.build import build_sharing
from agegender.report.explanation import explanation_blocks
from agegender.report.page import Gallery
from agegender.report.run import write_report

from ..heads import make_head
from ..made import predictions
from ..training import composed, train_in

LABELS = LabelSpec(age_min=0, age_max=120, age_mean=30.0, age_std=20.0)
SIZE = 32


def _network(*lines: str) -> AgeGenderNet:
    config = composed("model.weights=null", f"data.image_size={SIZE}", *lines)
    torch.manual_seed(0)
    backbone = build_backbone(config.model, SIZE, config.attention)
    network = build_network(backbone, config.age_head, LABELS, config.model.sharing).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))  # nothing as it began
    return network


def _images() -> Tensor:
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


class Patches(Backbone):
    """One stage: a convolution, or patches behind a class token; pooled by the mean of the positions."""

    num_features = 4
    explain_layer = "stages"
    stage_channels = (4,)
    stage_layers = (0,)
    layers = (("stages",),)

    def __init__(self, has_map: bool) -> None:
        super().__init__()
        self.input_spec, self.has_map = InputSpec(SIZE, HALF, HALF), has_map
        self.stages = nn.Conv2d(3, 4, 8, stride=8) if has_map else nn.Linear(3, 4)

    def stage(self, index: int, x: Tensor) -> Tensor:  # noqa: ARG002
        if not self.has_map:
            patches_BNC = nn.functional.avg_pool2d(x, 8).flatten(2).transpose(1, 2)
            x = torch.cat([torch.ones_like(patches_BNC[:, :1]), patches_BNC], dim=1)
        said: Tensor = self.stages(x)
        return said

    def pool(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3)) if x.ndim == 4 else x[:, 1:].mean(dim=1)


@pytest.mark.parametrize("has_map", [True, False])
def test_with_pooled_means_it_is_the_class_activation_map(has_map: bool) -> None:
    """Zhou et al. 2016: the map of what the linear head says to each position alone."""
    torch.manual_seed(0)
    backbone = Patches(has_map)
    head = RegressionHead(
        RegressionHead.Options(name="regression", loss="mse", huber_delta=5.0, rescale=True), 4, LABELS
    )
    network = AgeGenderNet(backbone, head, GenderHead(4), build_sharing("hard", backbone))
    maps = grad_cam(network, _images())
    with torch.no_grad():
        layer = backbone.stage(0, _images())
        layer_BHWC = layer.movedim(1, 3) if has_map else layer[:, 1:].unflatten(1, (4, 4))
        age_BHW = (layer_BHWC @ head.linear.weight[0]) * LABELS.age_std / 16
        weight = network.gender_head.linear.weight
        female_BHW = layer_BHWC @ (weight[0] - weight[1]) / 16
        is_female_B = network(_images()).gender_B2.argmax(dim=1) == 0
    torch.testing.assert_close(maps.age_BHW, age_BHW)
    sign_B11 = torch.where(is_female_B, 1.0, -1.0)[:, None, None]
    torch.testing.assert_close(maps.gender_BHW, sign_B11 * female_BHW)
    assert maps.attention == {}


@pytest.mark.parametrize("name", registry.names("age_head"))
def test_every_age_head_is_explained(name: str) -> None:
    """By its mean where it has a posterior: a median has no gradient."""
    backbone = Patches(has_map=True)
    heads = [make_head(name)]
    if isinstance(heads[0], GridHead):
        heads.append(make_head(name, decode="median"))
    maps = [
        grad_cam(AgeGenderNet(backbone, head, GenderHead(4), build_sharing("hard", backbone)), _images())
        for head in heads
    ]
    assert maps[0].age_BHW.any()
    torch.testing.assert_close(maps[0].age_BHW, maps[-1].age_BHW)


@pytest.mark.parametrize("sharing", ["hard", "split_last_stage", "mtan"])
@pytest.mark.parametrize("attention", ["none", "cbam", "self_attention"])
def test_every_attention_and_sharing(attention: str, sharing: str) -> None:
    network = _network("model=scratch_cnn_v2", f"attention={attention}", f"model.sharing={sharing}")
    network.set_trainable("heads")
    maps = grad_cam(network, _images())
    assert maps.age_BHW.shape == maps.gender_BHW.shape == (3, 2, 2)
    assert maps.age_BHW.any()
    assert maps.gender_BHW.any()
    names = ["age attention", "gender attention"] if sharing == "split_last_stage" else ["attention"]
    assert list(maps.attention) == ([] if attention == "none" else names)
    for where_BHW in maps.attention.values():
        assert where_BHW.shape == (3, 2, 2)
        assert not torch.equal(where_BHW, torch.ones_like(where_BHW))
    if attention == "self_attention":
        torch.testing.assert_close(maps.attention[names[0]].mean(dim=(1, 2)), torch.ones(3))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_attention_is_that_of_the_last_stage() -> None:
    network = _network("model=resnet34", "attention=cbam", "data.image_size=64")
    last = network.backbone.attention[-1]
    assert isinstance(last, CBAM)
    seen: list[Tensor] = []
    last.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    maps = grad_cam(network, torch.randn(1, 3, 64, 64))
    torch.testing.assert_close(maps.attention["attention"], last.where(seen[0]))


def test_faces_are_shown_where_they_may_be() -> None:
    drawn = composed("data.n=10")
    assert may_show("synthetic", drawn.report)
    assert not may_show("utkface", drawn.report)
    assert may_show("utkface", drawn.report.model_copy(update={"images": True}))


def test_a_run_writes_and_its_report_shows_them(tmp_path: Path) -> None:
    lines = ("model=scratch_cnn", "attention=cbam", "data.image_size=16", "data.n=60", "trainer.max_steps=2")
    train_in(tmp_path, composed(*lines, "evaluation.bootstrap=0"))
    with np.load(tmp_path / EXPLANATION) as file:
        table = pd.read_csv(tmp_path / "predictions.csv")
        tested = sorted(table.loc[table["split"] == "test", "id"])
        assert set(file["id"]) <= set(tested)
        assert [file["id"][0], file["id"][-1]] == [tested[0], tested[-1]]
        count = len(file["id"])
        assert count == min(6, len(tested))
        assert file["face"].shape == (count, 16, 16, 3)
        shapes = [file[name].shape for name in ("age", "gender", "attention")]
        assert shapes == 3 * [(count, 2, 2)]
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"{count} faces of the test part" in text
    assert "Attention: orange" in text
    for i in range(count):
        assert f"plots/explain_{i + 1}.jpg" in text
        with Image.open(tmp_path / "plots" / f"explain_{i + 1}.jpg") as picture:
            assert picture.size == (160, 4 * 160)  # the face, age, gender, attention


def _explained(folder: Path, **content: np.ndarray) -> Path:
    maps = {name: np.zeros((2, 3, 3), np.float32) for name in ("age", "gender")}
    faces = {"id": np.array(["face1", "face0"]), "face": np.zeros((2, 8, 8, 3), np.uint8)}
    np.savez(folder / EXPLANATION, **(faces | maps | content))  # type: ignore[arg-type]
    return folder


def test_maps_of_zeros_and_missing_labels_are_drawn(tmp_path: Path) -> None:
    table = predictions(4)
    table.loc[0, ["age", "gender"]] = [np.nan, None]
    (block,) = explanation_blocks(_explained(tmp_path), table)
    assert isinstance(block, Gallery)
    assert "Attention" not in block.caption
    assert [words[0] for _, words in block.items] == [f"{table['age'][1]:.0f}, {table['gender'][1]}", "?, ?"]


def test_without_maps_there_is_no_picture(tmp_path: Path) -> None:
    assert explanation_blocks(tmp_path, predictions(4)) == []


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / EXPLANATION, {})
    with pytest.raises(UserError, match=r"explain\.npz is damaged"):
        explanation_blocks(tmp_path, predictions(4))
    with pytest.raises(UserError, match=r"explain\.npz is damaged"):
        explanation_blocks(_explained(tmp_path, id=np.array(["face1", "stranger"])), predictions(4))
