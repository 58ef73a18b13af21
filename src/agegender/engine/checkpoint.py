"""The best network: tensors and plain JSON-able data only, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import agegender
from agegender.core.errors import RunError, UserError
from agegender.core.files import atomic
from agegender.core.types import InputSpec, LabelSpec
from agegender.models.network import AgeGenderNet

BEST = Path("checkpoints") / "best.safetensors"

FORMAT = "agegender/1"


@dataclass(frozen=True)
class Checkpoint:
    """A trained network as it lies on disk: its tensors and all that is needed to use them."""

    state: dict[str, Tensor]
    config: dict[str, Any]
    label_spec: LabelSpec
    input_spec: InputSpec
    data: dict[str, Any]


def save_best(path: Path, network: AgeGenderNet, config: dict[str, Any], data: dict[str, Any]) -> None:
    """Write the network with its label spec, preprocessing, configuration and data terms."""
    metadata = {
        "format": FORMAT,
        "agegender": agegender.__version__,
        "config": json.dumps(config),
        "label_spec": json.dumps(network.age_head.label_spec.to_dict()),
        "input_spec": json.dumps(network.input_spec.to_dict()),
        "data": json.dumps(data),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    with whole(path) as temporary:
        save_file(tensors, temporary, metadata)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path for a checkpoint; RunError where it cannot be written, and the earlier one stays."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path, durable=True) as temporary:
            yield temporary
    except (OSError, RuntimeError, SafetensorError) as error:  # torch's writer raises RuntimeError
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        kept = "the earlier one stays" if path.exists() else "there is no earlier one"
        raise RunError(f"cannot write {path}: {reason} ({kept}); is the disk full?") from error


def load_best(run: Path) -> Checkpoint:
    """Read a checkpoint from a run directory or from the file itself.

    Raises UserError when there is none, when it is damaged, or when another program wrote it.
    """
    path = run / BEST if run.is_dir() else run
    if not path.is_file():
        raise UserError(f"run={run}: holds no {BEST}; give a run directory of agegender-train, or the file")
    try:
        state, metadata = read_tensors(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"run={path}: not a readable safetensors file ({error})") from error
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise UserError(f"run={path}: not a checkpoint of agegender (format {found}, not {FORMAT})")
    return Checkpoint(
        state=state,
        config=json.loads(metadata["config"]),
        label_spec=LabelSpec.from_dict(json.loads(metadata["label_spec"])),
        input_spec=InputSpec.from_dict(json.loads(metadata["input_spec"])),
        data=json.loads(metadata["data"]),
    )
