"""The published architectures, number by number."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from agegender.core.torchvision_shim import import_torchvision
from agegender.core.types import InputSpec, LabelSpec
from agegender.models.backbones.resnet34 import ResNet34
from agegender.models.backbones.scratch_cnn import ScratchCNN
from agegender.models.backbones.scratch_cnn_v2 import ScratchCNNv2
from agegender.models.heads.regression import RegressionHead

LABELS = LabelSpec(age_min=0, age_max=120, age_mean=30.0, age_std=20.0)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_model_1_is_as_published() -> None:
    net = ScratchCNN(ScratchCNN.Options(name="scratch_cnn", weights=None, sharing="hard"))
    assert net.input_spec == InputSpec(128, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear")
    convolutions = 3 * 9 * 32 + 32 + 32 * 9 * 64 + 64 + 64 * 9 * 128 + 128
    assert _count(net) == convolutions + 128 * 16 * 16 * 256 + 256


def test_model_2_is_as_published() -> None:
    net = ScratchCNNv2(
        ScratchCNNv2.Options(name="scratch_cnn_v2", weights=None, sharing="hard", dropout=[0.5, 0.3])
    )
    channels = [3, 32, 64, 128, 256]
    convolutions = sum(a * 9 * b + 3 * b for a, b in pairwise(channels))
    linear = 256 * 8 * 8 * 512 + 512 + 512 * 256 + 256
    assert _count(net) == convolutions + linear
    assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.3]


def _resnet(weights: Path | None = None) -> ResNet34:
    return ResNet34(ResNet34.Options(name="resnet34", weights=weights, sharing="hard"))


def test_model_3_is_torchvisions_resnet34_without_its_classifier(tmp_path: Path) -> None:
    whole = import_torchvision("models").resnet34(weights=None)
    file = tmp_path / "resnet34.pth"
    torch.save(whole.state_dict(), file)
    net = _resnet(file).eval()
    whole.fc = nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(net(images), whole.eval()(images))
    assert net.num_features == 512
    assert net.input_spec == InputSpec(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear")


def test_batch_norm_over_ranks_keeps_every_name() -> None:
    """So that a checkpoint of several GPUs is one of any machine."""
    before = _resnet().state_dict()
    net = nn.SyncBatchNorm.convert_sync_batchnorm(_resnet())
    assert {name: tensor.shape for name, tensor in net.state_dict().items()} == {
        name: tensor.shape for name, tensor in before.items()
    }
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in net.modules()) == 36
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def _regression(rescale: bool) -> RegressionHead.Options:
    return RegressionHead.Options(name="regression", loss="mse", huber_delta=5.0, rescale=rescale)


@pytest.mark.parametrize("rescale", [True, False])
def test_regression_loss_is_the_mean_squared_error_in_years(rescale: bool) -> None:
    head = RegressionHead(_regression(rescale=rescale), 4, LABELS)
    raw_B1 = torch.tensor([[0.5], [-0.25]])
    years = torch.tensor([40.0, 25.0]) if rescale else torch.tensor([0.5, -0.25])
    age_B = torch.tensor([42.0, 20.0])
    assert torch.allclose(head.loss(raw_B1, torch.stack([age_B, age_B], 1)), (years - age_B).square().mean())
    assert torch.allclose(head.decode(raw_B1).years_B, years.clamp(0, 120))


def test_with_rescale_training_starts_near_the_constant_predictor() -> None:
    torch.manual_seed(0)
    head = RegressionHead(_regression(rescale=True), 256, LABELS)
    with torch.no_grad():
        years = head.decode(head(torch.zeros(1, 256))).years_B
    assert abs(float(years) - LABELS.age_mean) < 0.1 * LABELS.age_std
