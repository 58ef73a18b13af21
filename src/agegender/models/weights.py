"""Where a backbone's first weights come from, and how many of its tensors they fill."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from agegender.config.options import HUB_PREFIX
from agegender.core.errors import UserError
from agegender.models.hub import fetch_from_hub

BACKBONE_PREFIX = "backbone."
"""Prefix of the backbone's tensors in our own checkpoints."""

_ENOUGH = 0.9
"""Share of the backbone's tensors below which weights are those of another network."""
_COUNTER = "num_batches_tracked"
"""Older files lack these counters of batch normalisation, which change nothing."""
_NAMES = {
    "timm": ("conv_stem.", "blocks.", "stages.", "patch_embed."),
    "torchvision": ("features.", "conv_proj.", "encoder."),
}
"""How names begin in networks of one library alone; those of ResNets are the same in both."""
_NAMED = 4
"""Names that a line holds."""

State = dict[str, Tensor]


@dataclass(frozen=True)
class Fetched:
    """Weights before a network has taken them."""

    source: str
    state: State
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    """timm's words for the input (input_size, mean, std, interpolation), where the source has them."""


@dataclass(frozen=True)
class Loaded:
    """Which tensors a backbone took from its weights."""

    source: str
    wanted: int
    missing: tuple[str, ...]
    """Tensors of the backbone that the source lacks, or holds in another shape: they stay random."""
    unused: tuple[str, ...]
    """Tensors of the source that the backbone has no place for."""

    def __str__(self) -> str:
        line = f"weights: {self.source}, {self.wanted - len(self.missing)} of {self.wanted} tensors"
        return f"{line} ({len(self.unused)} of it not used: {_some(self.unused)})" if self.unused else line

    def warning(self) -> str | None:
        """What to be told when some of the backbone stays random."""
        if not self.missing:
            return None
        return (
            f"model.weights={self.source}: {len(self.missing)} of the backbone's {self.wanted} tensors are "
            f"not in it or have another shape, and start at random: {_some(self.missing)}"
        )


def fetch_weights(
    weights: str | Path | None, imagenet: Callable[[], Fetched] | None = None
) -> Fetched | None:
    """What `model.weights` names: null, a file, hf-hub:OWNER/NAME, or imagenet, which `imagenet` fetches.

    Raises UserError for what cannot be fetched or read.
    """
    if weights is None:
        return None
    if isinstance(weights, Path):
        return Fetched(str(weights), read_state_dict(weights))
    if weights.startswith(HUB_PREFIX):
        return Fetched(weights, *fetch_from_hub(weights.removeprefix(HUB_PREFIX), weights))
    if imagenet is None:
        raise UserError(f"model.weights={weights}: this network has no published weights; use null or a file")
    return imagenet()


def read_state_dict(path: Path) -> State:
    """The tensors of a .safetensors or torch file; UserError when it holds anything else."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        line = " ".join(str(error).split())[:160] or type(error).__name__
        raise UserError(f"model.weights={path}: cannot be read as weights ({line})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"model.weights={path}: holds no state dict (names to tensors)")
    return state


def load_weights(
    net: nn.Module, fetched: Fetched | None, adapt: Callable[[State], State] = lambda state: state
) -> Loaded | None:
    """Load what has the network's names and shapes; `adapt` fits a state dict to its image size and names.

    Raises UserError when less than 90 % of the network's tensors are there.
    """
    if fetched is None:
        return None
    state = adapt(_unprefixed(fetched.state))
    own = net.state_dict()
    fitting = {name for name in own if name in state and state[name].shape == own[name].shape}
    wanted = [name for name in own if name in fitting or not name.endswith(_COUNTER)]
    missing = tuple(name for name in wanted if name not in fitting)
    if len(wanted) - len(missing) < _ENOUGH * len(wanted):
        raise UserError(
            f"model.weights={fetched.source}: {len(wanted) - len(missing)} of the backbone's {len(wanted)} "
            f"tensors match ({_why(missing[0], state, own)}); these are weights of another network or "
            f"image size{_other_library(net, state)}"
        )
    net.load_state_dict({name: state[name] for name in fitting}, strict=False)
    return Loaded(fetched.source, len(wanted), missing, tuple(name for name in state if name not in fitting))


def _unprefixed(state: State) -> State:
    """Our own checkpoints name a backbone's tensors backbone.*, those of a library backbone.net.*"""
    if not any(name.startswith(BACKBONE_PREFIX) for name in state):
        return state
    return {name.removeprefix(BACKBONE_PREFIX).removeprefix("net."): tensor for name, tensor in state.items()}


def _other_library(net: nn.Module, state: State) -> str:
    """A hint where a library's network is given the other one's file."""
    own = type(net).__module__.partition(".")[0]
    for other, beginnings in _NAMES.items():
        is_theirs, is_ours = (_begins(names, beginnings) for names in (state, net.state_dict()))
        if own in _NAMES and own != other and is_theirs and not is_ours:
            return f". Its names are those of {other}, the network is of {own}, and nothing converts them"
    return ""


def _begins(names: Iterable[str], beginnings: tuple[str, ...]) -> bool:
    return any(name.startswith(beginnings) for name in names)


def _why(name: str, state: State, own: Mapping[str, Tensor]) -> str:
    if name not in state:
        return f"{name} is missing"
    return f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}"


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
