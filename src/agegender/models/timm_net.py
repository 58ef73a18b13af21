"""Backbones that timm supplies: its network without the classifier, in stages where its build is known."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agegender.core.errors import UserError
from agegender.models.backbone import Backbone
from agegender.models.hub import fetch_from_hub, import_timm, is_in_cache
from agegender.models.preprocessing import spec_of
from agegender.models.weights import Fetched, State, fetch_weights, load_weights

_VIT_STAGES = 4
_BEHIND = ("attn_pool", "fc_norm", "head")
"""timm's names for what may stand behind the last map or tokens."""


@dataclass(frozen=True)
class Stages:
    """Names of a network's modules in the order in which they run: a stem, then stages."""

    stem: tuple[str, ...]
    stages: tuple[tuple[str, ...], ...]
    channels: tuple[int, ...]
    last: str
    """What says the last map, or the last tokens that all of the pool's answer comes from."""


class TimmNet(Backbone):
    """`timm.create_model(entry, num_classes=0)`; `weights=imagenet` are those that timm means by this name.

    A network of a family whose build is not known here is one stage and one layer. Raises UserError for one
    that takes no images of this size, or says no features.
    """

    library = "timm"

    def __init__(self, entry: str, weights: str | Path | None, image_size: int | None = None) -> None:
        super().__init__()
        self._published = published = published_words(entry)
        fetched = fetch_weights(weights, partial(_fetch_published, entry, published))
        self.input_spec = spec_of({**published, **(fetched.preprocessing if fetched else {})}, image_size)
        size = self.input_spec.size
        with torch.device("meta"):  # a network without memory tells what the real one says
            self._declare(entry, _create(entry, size))
        self.net: Any = _create(entry, size)
        self.loaded = load_weights(self.net, fetched, self._adapt)

    def has_weights_at_hand(self) -> bool | None:
        repository = self._published.get("hf_hub_id")
        return is_in_cache(repository) if repository else None

    def _declare(self, entry: str, net: Any) -> None:
        shape, features_shape = _shapes(entry, net, self.input_spec.size)
        if len(features_shape) != 2 or len(shape) not in (3, 4):
            raise UserError(
                f"model.backbone={entry}: its answer has the shape {features_shape}, no features (B, F)"
            )
        self.num_features = features_shape[1]
        self.has_map = len(shape) == 4
        self._is_nhwc = self.has_map and shape[1] != net.num_features == shape[3]
        self._stages = stages = split(net)
        self.pool_modules = tuple(f"net.{name}" for name in _BEHIND if _has_parameters(net, name))
        if stages is None:
            self.layers, self.stage_layers = (("net",),), (0,)
            self.stage_channels = (shape[3] if self._is_nhwc else shape[1 if self.has_map else 2],)
            self.explain_layer = f"net.{net.feature_info[-1]['module']}" if net.feature_info else "net"
            return
        layers = [stages.stem]
        ends = []
        for names in stages.stages:
            blocks = [name for name in names if not self.has_map and name.startswith("blocks.")]
            layers += [(block,) for block in blocks[:-1]] + [names[max(len(blocks) - 1, 0) :]]
            ends.append(len(layers) - 1)
        named = [tuple(f"net.{name}" for name in layer) for layer in layers]
        self.layers = (*named[:-1], (*named[-1], *self.pool_modules))
        self.stage_layers, self.stage_channels = tuple(ends), stages.channels
        self.explain_layer = f"net.{stages.last}"
        self.loose_parameters = tuple(f"net.{name}" for name, _ in net.named_parameters(recurse=False))

    def _adapt(self, state: State) -> State:
        """timm's own filter of the network's family: other names, position embeddings of another size."""
        adapt = getattr(sys.modules[type(self.net).__module__], "checkpoint_filter_fn", None)
        try:
            return state if adapt is None else dict(adapt(dict(state), self.net))
        except Exception:  # weights of another network: what does not match is counted and named
            return state

    def embed(self, images_BCHW: Tensor) -> Tensor:
        if self._stages is None:
            return images_BCHW
        if self.has_map:
            return self._run(self._stages.stem, images_BCHW)
        tokens_BNC = self.net._pos_embed(self.net.patch_embed(images_BCHW))
        return self._run(("patch_drop", "norm_pre"), tokens_BNC)

    def stage(self, index: int, x: Tensor) -> Tensor:
        if self._stages is not None:
            return self._run(self._stages.stages[index], x)
        x = self.net.forward_features(x)
        return x.permute(0, 3, 1, 2) if self._is_nhwc else x

    def pool(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1) if self._is_nhwc else x
        features_BF: Tensor = self.net.forward_head(x, pre_logits=True)
        return features_BF

    def _run(self, names: tuple[str, ...], x: Tensor) -> Tensor:
        for name in names:
            x = self.net.get_submodule(name)(x)
        return x


def split(net: Any) -> Stages | None:
    """The stages of a network of timm; None where its family is not known here."""
    stages = {
        "EfficientNet": _of_efficientnet,
        "ResNet": _of_resnet,
        "ConvNeXt": _of_convnext,
        "VisionTransformer": _of_vit,
    }.get(type(net).__name__)
    return stages(net) if stages else None


def _of_efficientnet(net: Any) -> Stages:
    """A stage ends where the next block halves the map; all at half the image's size is in the first."""
    found = [info for info in net.feature_info if info["reduction"] > 2]
    ends = [int(info["module"].removeprefix("blocks.")) + 1 for info in found]
    stages = [
        tuple(f"blocks.{number}" for number in range(*cut))
        for cut in pairwise([0, *ends[:-1], len(net.blocks)])
    ]
    stages[-1] += ("conv_head", "bn2")
    channels = (*(info["num_chs"] for info in found[:-1]), net.num_features)
    return Stages(("conv_stem", "bn1"), tuple(stages), channels, "bn2")


def _of_resnet(net: Any) -> Stages:
    found = [info for info in net.feature_info if info["module"].startswith("layer")]
    stages = tuple((info["module"],) for info in found)
    channels = tuple(info["num_chs"] for info in found)
    return Stages(("conv1", "bn1", "act1", "maxpool"), stages, channels, stages[-1][0])


def _of_convnext(net: Any) -> Stages:
    first, second, third, fourth = (info["module"] for info in net.feature_info)
    stages = ((first,), (second,), (third,), (fourth, "norm_pre"))
    return Stages(("stem",), stages, tuple(info["num_chs"] for info in net.feature_info), "norm_pre")


def _of_vit(net: Any) -> Stages:
    """As many blocks in each stage. A class token alone is read behind the last norm, hence `last`."""
    count = len(net.blocks)
    bounds = [count * number // _VIT_STAGES for number in range(_VIT_STAGES + 1)]
    stages = [tuple(f"blocks.{number}" for number in range(*cut)) for cut in pairwise(bounds)]
    stages[-1] += ("norm",)
    channels = (net.embed_dim,) * _VIT_STAGES
    return Stages(("patch_embed", "norm_pre"), tuple(stages), channels, f"blocks.{count - 1}.norm1")


def published_words(entry: str) -> dict[str, Any]:
    """timm's words for a name's published weights: input_size, mean, std, interpolation, hf_hub_id."""
    words: dict[str, Any] = import_timm().models.get_pretrained_cfg(entry).to_dict()
    return words


def _fetch_published(entry: str, published: dict[str, Any]) -> Fetched:
    repository = published.get("hf_hub_id")
    if repository is None:
        raise UserError(f"model.weights=imagenet: timm has no weights of {entry}; use null or a file")
    return Fetched("imagenet", fetch_from_hub(repository, "imagenet")[0])


def _create(entry: str, size: int) -> Any:
    """The network without its classifier; UserError where its image size is fixed to another one."""
    timm = import_timm()
    sized = {"img_size": size} if published_words(entry).get("fixed_input_size") else {}
    try:
        return timm.create_model(entry, pretrained=False, num_classes=0, **sized)
    except (TypeError, RuntimeError, ValueError, AssertionError) as error:
        raise _unusable(entry, size, error) from error


def _shapes(entry: str, net: Any, size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of the last map or tokens, and of the features, of two images."""
    try:
        x = net.eval().forward_features(torch.zeros(2, 3, size, size))
        return tuple(x.shape), tuple(net.forward_head(x, pre_logits=True).shape)
    except Exception as error:  # whatever a thousand networks raise
        raise _unusable(entry, size, error) from error


def _unusable(entry: str, size: int, error: Exception) -> UserError:
    line = " ".join(str(error).split())[:160] or type(error).__name__
    return UserError(f"model.backbone={entry}: cannot be used for images of {size} px ({line})")


def _has_parameters(net: nn.Module, name: str) -> bool:
    module = getattr(net, name, None)
    return isinstance(module, nn.Module) and any(True for _ in module.parameters())
