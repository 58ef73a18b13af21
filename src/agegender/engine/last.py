"""`last.ckpt`: everything that training needs to go on as if it had never been interrupted."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import agegender
from agegender.core.errors import UserError
from agegender.engine.checkpoint import whole

LAST = Path("checkpoints") / "last.ckpt"

FORMAT = "agegender-last/1"


@dataclass(frozen=True)
class Last:
    """Training between two steps: tensors and plain data."""

    position: dict[str, Any]
    """phase, epoch, epoch_step (steps done in an epoch under way; 0 where the epoch is over), step."""
    network: dict[str, Any]
    optimizer: dict[str, Any]
    balancer: dict[str, Any]
    monitor: dict[str, Any]
    history: list[dict[str, Any]]
    """A row for each epoch that is over."""
    tally: dict[str, Any]
    """Sums of the epoch under way."""
    torch_rng: Tensor
    device_rng: dict[str, Any] | None
    """Type and state of the accelerator's generator; None on a CPU."""
    data: dict[str, Any]
    """split_sha256 and faces_sha256 (order and labels, too)."""
    config: dict[str, Any]
    previous_best: dict[str, Any] | None = None
    """tensors and metadata of the best epoch before one that trainer.max_steps cut short: should the run go
    on, that epoch is not over, and its figures do not count."""

    @property
    def step(self) -> int:
        return int(self.position["step"])


def save_last(path: Path, last: Last) -> None:
    """Write it whole; RunError where that fails, and the earlier file stays."""
    with whole(path) as temporary:
        content = {name: getattr(last, name) for name in Last.__dataclass_fields__}
        torch.save({"format": FORMAT, "agegender": agegender.__version__, **content}, temporary)


def load_last(run: Path) -> Last:
    """Read a run's last checkpoint; UserError where there is none or it cannot be used."""
    path = run / LAST
    if not path.is_file():
        raise UserError(
            f"resume={run}: holds no {LAST}: the run ended before its first checkpoint; start it anew "
            "(trainer.checkpoint_every=100 or 5min writes one within the first epoch)"
        )
    try:
        content = _read(path)
    except Exception as error:  # whatever a damaged pickle raises
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(f"resume={run}: {LAST} is damaged ({reason})") from error
    found = content.get("format", "none") if isinstance(content, dict) else "none"
    if found != FORMAT:
        raise UserError(
            f"resume={run}: {LAST} is of another version of agegender or another program (format {found}, "
            f"not {FORMAT})"
        )
    missing = sorted(Last.__dataclass_fields__.keys() - content.keys())
    if missing:
        raise UserError(f"resume={run}: {LAST} is damaged (no {missing[0]})")
    return Last(**{name: content[name] for name in Last.__dataclass_fields__})


def _read(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:  # torch itself does not compare the sums
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} has another checksum")
    return torch.load(path, map_location="cpu", weights_only=True)


def device_rng(device: torch.device) -> dict[str, Any] | None:
    """The state of the generator of an accelerator."""
    module = getattr(torch, device.type, None)
    if device.type == "cpu" or module is None:
        return None
    return {"type": device.type, "state": module.get_rng_state()}


def restore_rng(last: Last, device: torch.device) -> None:
    """Draw on where the checkpoint stood; on another kind of device than then, its generator is new."""
    torch.set_rng_state(last.torch_rng)
    if last.device_rng is not None and last.device_rng["type"] == device.type:
        getattr(torch, device.type).set_rng_state(last.device_rng["state"])
