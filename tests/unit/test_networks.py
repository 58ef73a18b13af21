"""The published architectures, number by number, and where weights may come from."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from agegender.core.errors import UserError
from agegender.core.torchvision_shim import import_torchvision
from agegender.core.types import LabelSpec
from agegender.models.backbones.resnet34 import ResNet34
from agegender.models.backbones.scratch_cnn import ScratchCNN
from agegender.models.backbones.scratch_cnn_v2 import ScratchCNNv2
from agegender.models.heads.regression import RegressionHead

LABELS = LabelSpec(age_min=0, age_max=120, age_mean=30.0, age_std=20.0)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_model_1_is_as_published() -> None:
    net = ScratchCNN(ScratchCNN.Options(name="scratch_cnn", weights=None, sharing="hard"))
    assert net.input_spec.to_dict() == {"size": 128, "mean": [0.5] * 3, "std": [0.5] * 3}
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
    assert net.input_spec.size == 224
    assert net.input_spec.mean == (0.485, 0.456, 0.406)


def test_batch_norm_over_ranks_keeps_every_name() -> None:
    """So that a checkpoint of several GPUs is one of any machine."""
    before = _resnet().state_dict()
    net = nn.SyncBatchNorm.convert_sync_batchnorm(_resnet())
    assert {name: tensor.shape for name, tensor in net.state_dict().items()} == {
        name: tensor.shape for name, tensor in before.items()
    }
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in net.modules()) == 36
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "resnet18.safetensors"
    save_file(import_torchvision("models").resnet18(weights=None).state_dict(), file)
    with pytest.raises(UserError, match=r"of the backbone's 2\d\d tensors match"):
        _resnet(file)


@pytest.mark.parametrize(
    ("name", "content"),
    [("w.pth", b"no weights"), ("w.safetensors", b"no weights"), ("empty.pth", b"")],
)
def test_a_file_without_weights_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as weights"):
        _resnet(tmp_path / name)


def test_a_pickle_that_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        _resnet(tmp_path / "w.pth")


def test_imagenet_without_a_network_says_what_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib.error import URLError

    def offline(*_args: object, **_kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(UserError, match=r"Fetch https://.*resnet34.*\.pth(.|\n)*put it at .*checkpoints"):
        ResNet34(ResNet34.Options(name="resnet34", weights="imagenet", sharing="hard"))


def test_a_scratch_network_has_no_imagenet_weights() -> None:
    with pytest.raises(UserError, match="no published weights"):
        ScratchCNN(ScratchCNN.Options(name="scratch_cnn", weights="imagenet", sharing="hard"))


@pytest.mark.parametrize("rescale", [True, False])
def test_regression_loss_is_the_mean_squared_error_in_years(rescale: bool) -> None:
    head = RegressionHead(RegressionHead.Options(name="regression", rescale=rescale), 4, LABELS)
    raw_B1 = torch.tensor([[0.5], [-0.25]])
    years = torch.tensor([40.0, 25.0]) if rescale else torch.tensor([0.5, -0.25])
    age_B = torch.tensor([42.0, 20.0])
    assert torch.allclose(head.loss(raw_B1, age_B), (years - age_B).square().mean())
    assert torch.allclose(head.decode(raw_B1).years_B, years.clamp(0, 120))


def test_with_rescale_training_starts_near_the_constant_predictor() -> None:
    torch.manual_seed(0)
    head = RegressionHead(RegressionHead.Options(name="regression", rescale=True), 256, LABELS)
    with torch.no_grad():
        years = head.decode(head(torch.zeros(1, 256))).years_B
    assert abs(float(years) - LABELS.age_mean) < 0.1 * LABELS.age_std
