"""Where a backbone's first weights come from: nowhere, torchvision's download, or a file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from agegender.core.errors import UserError

BACKBONE_PREFIX = "backbone."
"""Prefix of the backbone's tensors in our own checkpoints."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or torch file; UserError when it holds anything else."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"model.weights={path}: cannot be read as weights ({_line(error)})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"model.weights={path}: holds no state dict (names to tensors)")
    return state


def load_scratch_weights(backbone: nn.Module, weights: str | Path | None) -> None:
    """Weights of a network that has no published ones: null, or a file of one of our runs."""
    if weights is None:
        return
    if isinstance(weights, str):
        raise UserError(f"model.weights={weights}: this network has no published weights; use null or a file")
    _load(backbone, read_state_dict(weights), str(weights))


def load_torchvision_weights(net: nn.Module, weights: str | Path | None, published: Any) -> None:
    """`imagenet`: torchvision's own download and its hash check; a path: a state dict from disk.

    Raises UserError that says what to fetch and where to put it when the download fails.
    """
    if weights is None:
        return
    if isinstance(weights, Path):
        _load(net, read_state_dict(weights), str(weights))
        return
    target = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
    try:
        state = published.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"model.weights=imagenet: cannot download the weights ({_line(error)}). Fetch {published.url} "
            f"elsewhere\n  and put it at {target}, or set model.weights=FILE, or model.weights=null to start "
            "from random weights"
        ) from error
    _load(net, state, "imagenet")


def _load(net: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load every tensor of the network; a partial match is an error, never a silent half."""
    if any(name.startswith(BACKBONE_PREFIX) for name in state):  # one of our runs
        state = {
            name.removeprefix(BACKBONE_PREFIX).removeprefix("net."): tensor for name, tensor in state.items()
        }
    wanted = net.state_dict()
    missing = [name for name in wanted if name not in state]
    wrong = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    if missing or wrong:
        first = f"{missing[0]} is missing" if missing else _shapes(wrong[0], state, wanted)
        raise UserError(
            f"model.weights={source}: {len(wanted) - len(missing) - len(wrong)} of the backbone's "
            f"{len(wanted)} tensors match ({first}); these are weights of another network or image size"
        )
    net.load_state_dict({name: state[name] for name in wanted})


def _shapes(name: str, state: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    return f"{name} is {tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
