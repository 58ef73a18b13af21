"""Where a backbone's first weights may come from, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from agegender.core.errors import UserError
from agegender.core.torchvision_shim import import_torchvision
from agegender.core.types import InputSpec
from agegender.models.backbones.efficientnet_lite0 import EfficientNetLite0
from agegender.models.backbones.resnet18 import ResNet18
from agegender.models.backbones.resnet34 import ResNet34
from agegender.models.backbones.scratch_cnn import ScratchCNN
from agegender.models.backbones.timm import Timm
from agegender.models.backbones.vit_b_16 import ViTB16
from agegender.models.backbones.vit_s_16 import ViTS16
from agegender.models.hub import fetch_from_hub, import_timm
from agegender.models.weights import Fetched, load_weights

State = dict[str, Tensor]


def _resnet(weights: Path | str | None = None) -> ResNet18:
    return ResNet18(ResNet18.Options(name="resnet18", weights=weights, sharing="hard"))


@pytest.fixture(scope="module")
def whole() -> State:
    """torchvision's ResNet18, classifier included."""
    net: nn.Module = import_torchvision("models").resnet18(weights=None)
    return dict(net.state_dict())


def _saved(path: Path, state: State) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def test_what_matched_and_what_did_not_is_told(whole: State, tmp_path: Path) -> None:
    net = _resnet(_saved(tmp_path / "w.safetensors", whole))
    assert net.loaded is not None
    assert str(net.loaded) == (
        f"weights: {tmp_path}/w.safetensors, 120 of 120 tensors (2 of it not used: fc.bias, fc.weight)"
    )
    assert net.loaded.warning() is None
    assert torch.equal(net.net.conv1.weight, whole["conv1.weight"])


def test_one_of_our_runs_gives_its_backbone(whole: State, tmp_path: Path) -> None:
    ours = {f"backbone.net.{name}": tensor for name, tensor in whole.items() if not name.startswith("fc.")}
    net = _resnet(
        _saved(tmp_path / "best.safetensors", {**ours, "age_head.linear.weight": torch.ones(1, 512)})
    )
    assert net.loaded is not None
    assert (net.loaded.missing, net.loaded.unused) == ((), ("age_head.linear.weight",))


def test_counters_of_batch_normalisation_may_lack(whole: State, tmp_path: Path) -> None:
    old = {name: tensor for name, tensor in whole.items() if not name.endswith("num_batches_tracked")}
    net = _resnet(_saved(tmp_path / "old.safetensors", old))
    assert net.loaded is not None
    assert net.loaded.missing == ()


@pytest.mark.parametrize("how", ["missing", "another shape"])
def test_up_to_a_tenth_may_start_at_random(how: str, whole: State, tmp_path: Path) -> None:
    """ResNet18 has 120 tensors: 108 are 90 %."""
    names = [name for name in whole if name.startswith("layer4.") and "num_batches" not in name]
    for count, enough in ((12, True), (13, False)):
        state = dict(whole)
        for name in names[:count]:
            del state[name]
            if how == "another shape":
                state[name] = torch.zeros(3)
        file = _saved(tmp_path / f"{count}.safetensors", state)
        if enough:
            loaded = _resnet(file).loaded
            assert loaded is not None
            assert loaded.missing == tuple(names[:count])
            assert "12 of the backbone's 120 tensors" in str(loaded.warning())
            assert "layer4.0.conv1.weight" in str(loaded.warning())
        else:
            with pytest.raises(UserError, match=r"107 of the backbone's 120 tensors match \(layer4.0.conv1"):
                _resnet(file)


def test_weights_of_another_network_are_refused(tmp_path: Path, whole: State) -> None:
    file = _saved(tmp_path / "resnet18.safetensors", whole)
    with pytest.raises(UserError, match=r"of the backbone's 2\d\d tensors match"):
        ResNet34(ResNet34.Options(name="resnet34", weights=file, sharing="hard"))
    with pytest.raises(UserError, match=r"0 of the backbone's 150 tensors match \(cls_token is missing"):
        ViTS16(ViTS16.Options(name="vit_s_16", weights=file, sharing="hard"), 32)


@pytest.mark.parametrize("name", ["resnet34", "resnet50"])
def test_resnets_take_files_of_either_library(name: str) -> None:
    with torch.device("meta"):
        theirs = import_timm().create_model(name, num_classes=0).state_dict()
        ours: nn.Module = import_torchvision("models").get_model(name, weights=None)
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items() if not key.startswith("fc.")}
    assert shapes == {key: tensor.shape for key, tensor in theirs.items()}


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("mobilenet_v3_small", "mobilenetv3_small_100"),
        ("mobilenet_v3_large", "mobilenetv3_large_100"),
        ("efficientnet_v2_s", "tf_efficientnetv2_s"),
        ("convnext_tiny", "convnext_tiny"),
        ("vit_b_16", "vit_base_patch16_224"),
    ],
)
def test_a_file_of_the_other_library_is_told(entry: str, name: str) -> None:
    with torch.device("meta"):
        of_timm = import_timm().create_model(name, num_classes=0)
        of_torchvision: nn.Module = import_torchvision("models").get_model(entry, weights=None)
    nets = {"timm": of_timm, "torchvision": of_torchvision}
    for own, other in (("timm", "torchvision"), ("torchvision", "timm")):
        words = f"Its names are those of {other}, the network is of {own}, and nothing converts them"
        with pytest.raises(UserError, match=words):
            load_weights(nets[own], Fetched("w.pth", dict(nets[other].state_dict())))


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
    def offline(*_args: object, **_kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(UserError, match=r"Fetch https://.*resnet34.*\.pth(.|\n)*put it at .*checkpoints"):
        ResNet34(ResNet34.Options(name="resnet34", weights="imagenet", sharing="hard"))


def test_a_hub_that_is_gone_costs_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_timm()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr("time.sleep", pytest.fail)  # that is how the hub waits between its retries
    with pytest.raises(UserError, match=r"model.weights=hf-hub:owner/name: cannot download the weights \("):
        fetch_from_hub("owner/name", "hf-hub:owner/name")


@pytest.mark.parametrize("weights", ["imagenet", "hf-hub:timm/tf_efficientnet_lite0.in1k"])
def test_the_hub_without_a_network_says_what_to_fetch(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = import_timm()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert timm is not None
    with pytest.raises(UserError) as caught:
        EfficientNetLite0(
            EfficientNetLite0.Options(name="efficientnet_lite0", weights=weights, sharing="hard")
        )
    text = str(caught.value)
    assert text.startswith(f"model.weights={weights}: cannot download the weights (")
    assert "timm/tf_efficientnet_lite0.in1k/resolve/main/model.safetensors" in text
    assert f"model.weights=FILE, or bring the repository's folder to {tmp_path}" in text
    assert len(text.splitlines()) == 2


def test_weights_of_the_hub_bring_their_preprocessing(whole: State, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"input_size": [3, 160, 160], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}

    def config(_repository: str, **_: Any) -> tuple[dict[str, Any], str, dict[str, Any]]:
        return {**words, "interpolation": "bicubic"}, "resnet18", {}

    def state(_repository: str, **_: Any) -> State:
        return whole

    import_timm()
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda _url, **_: None)
    monkeypatch.setattr("timm.models.load_model_config_from_hf", config)
    monkeypatch.setattr("timm.models.load_state_dict_from_hf", state)
    net = _resnet("hf-hub:somebody/faces")
    assert net.input_spec == InputSpec(160, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bicubic")
    assert torch.equal(net.net.conv1.weight, whole["conv1.weight"])
    other = Timm(
        Timm.Options(name="timm", backbone="resnet18", weights="hf-hub:somebody/faces", sharing="hard")
    )
    assert other.input_spec == net.input_spec
    assert torch.equal(other.net.conv1.weight, whole["conv1.weight"])


@pytest.mark.parametrize("cls", [ViTB16, ViTS16])
def test_position_embeddings_are_fitted_to_the_image_size(cls: type[Any], tmp_path: Path) -> None:
    """A grid of one value stays one; the class token's is kept."""
    name = "encoder.pos_embedding" if cls is ViTB16 else "pos_embed"
    options = cls.Options(name=cls.entry, weights=None, sharing="hard")
    state = cls(options, 32).net.state_dict()
    state[name] = torch.full_like(state[name], 0.25)
    state[name][:, 0] = 4.0
    file = _saved(tmp_path / "w.safetensors", state)
    net = cls(cls.Options(name=cls.entry, weights=file, sharing="hard"), 64)
    assert net.loaded.missing == ()
    position_1NC = net.net.get_parameter(name)
    assert position_1NC.shape[1] == 1 + 4 * 4
    assert torch.allclose(position_1NC[:, 0], torch.tensor(4.0))
    assert torch.allclose(position_1NC[:, 1:], torch.tensor(0.25))


def test_a_scratch_network_has_no_imagenet_weights() -> None:
    with pytest.raises(UserError, match="no published weights"):
        ScratchCNN(ScratchCNN.Options(name="scratch_cnn", weights="imagenet", sharing="hard"))
