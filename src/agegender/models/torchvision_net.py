"""Backbones that torchvision supplies: its network without the classifier, cut into stages."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.config.options import ModelOptions
from agegender.core.errors import UserError
from agegender.core.torchvision_shim import import_torchvision
from agegender.core.types import InputSpec
from agegender.models.backbone import Backbone
from agegender.models.preprocessing import spec_of
from agegender.models.weights import Fetched, State, fetch_weights, load_weights


class TorchvisionNet(Backbone):
    """`torchvision.models.<entry>` without its classifier; `weights=imagenet` are its default ones."""

    class Options(ModelOptions):
        """`weights`: imagenet (torchvision downloads them), null, hf-hub:, or a file."""

        min_image_size: ClassVar[int] = 32

    library = "torchvision"
    entry: ClassVar[str]
    classifier: ClassVar[str] = "classifier"
    """What does not belong to the backbone."""

    def __init__(self, options: Options, image_size: int | None = None) -> None:
        super().__init__()
        published = self.published()
        fetched = fetch_weights(options.weights, partial(_download, published))
        self.input_spec = _spec(published, fetched, image_size)
        self.net: Any = self.build()
        self.net.set_submodule(self.classifier, nn.Identity())
        self.loaded = load_weights(self.net, fetched, self.adapt)

    @classmethod
    def published(cls) -> Any:
        """torchvision's entry of the weights that `imagenet` means."""
        return import_torchvision("models").get_model_weights(cls.entry).DEFAULT

    @classmethod
    def place(cls) -> Path:
        """Where torchvision keeps those weights."""
        return _place(cls.published())

    def has_weights_at_hand(self) -> bool:
        return self.place().is_file()

    def build(self) -> nn.Module:
        """The whole network with random weights."""
        net: nn.Module = import_torchvision("models").get_model(self.entry, weights=None)
        return net

    def adapt(self, state: State) -> State:
        """A state dict fitted to this image size."""
        return state


class ResNet(TorchvisionNet):
    """Base of the ResNets (He et al. 2016, arXiv:1512.03385) up to the global average pool."""

    classifier = "fc"
    explain_layer = "net.layer4"
    layers = (
        ("net.conv1", "net.bn1"), ("net.layer1",), ("net.layer2",), ("net.layer3",), ("net.layer4",),
    )  # fmt: skip
    stage_layers = (1, 2, 3, 4)

    def embed(self, images_BCHW: Tensor) -> Tensor:
        x: Tensor = self.net.maxpool(self.net.relu(self.net.bn1(self.net.conv1(images_BCHW))))
        return x

    def stage(self, index: int, x: Tensor) -> Tensor:
        map_BCHW: Tensor = self.net.get_submodule(f"layer{index + 1}")(x)
        return map_BCHW

    def pool(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


class FeaturesNet(TorchvisionNet):
    """Base of the networks whose convolutions are one sequence, `features`."""

    ends: ClassVar[tuple[int, ...]]
    """Where in the sequence each stage ends; its first module embeds."""

    def __init__(self, options: TorchvisionNet.Options, image_size: int | None = None) -> None:
        super().__init__(options, image_size)
        bounds = (0, 1, *(end + 1 for end in self.ends))
        self.cuts = tuple(pairwise(bounds))
        names = [tuple(f"net.features.{number}" for number in range(*cut)) for cut in self.cuts]
        self.layers = (*names[:-1], (*names[-1], *self.pool_modules))
        self.stage_layers = tuple(range(1, len(names)))
        self.explain_layer = names[-1][-1]

    def embed(self, images_BCHW: Tensor) -> Tensor:
        x: Tensor = self.net.features[0](images_BCHW)
        return x

    def stage(self, index: int, x: Tensor) -> Tensor:
        first, last = self.cuts[index + 1]
        map_BCHW: Tensor = self.net.features[first:last](x)
        return map_BCHW

    def pool(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


def _spec(published: Any, fetched: Fetched | None, image_size: int | None) -> InputSpec:
    """What the published weights expect, unless those that were fetched say otherwise."""
    expected = published.transforms()
    words = {
        "input_size": (3, expected.crop_size[0], expected.crop_size[0]),
        "mean": expected.mean,
        "std": expected.std,
        "interpolation": expected.interpolation.value,
    }
    return spec_of({**words, **(fetched.preprocessing if fetched else {})}, image_size)


def _place(published: Any) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", published.url.rpartition("/")[2])


def _download(published: Any) -> Fetched:
    """torchvision's own download and its hash check.

    Raises UserError that says what to fetch and where to put it when the download fails.
    """
    try:
        return Fetched("imagenet", published.get_state_dict(progress=False, check_hash=True))
    except (URLError, OSError, RuntimeError) as error:
        line = " ".join(str(error).split())[:160] or type(error).__name__
        raise UserError(
            f"model.weights=imagenet: cannot download the weights ({line}). Fetch {published.url} "
            f"elsewhere\n  and put it at {_place(published)}, or set model.weights=FILE, or "
            "model.weights=null to start from random weights"
        ) from error
