"""`last.ckpt`: everything that training needs to go on as if it had never been interrupted."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import agegender
from agegender.core.errors import UserError
from agegender.engine.checkpoint import whole

LAST = Path("checkpoints") / "last.ckpt"

FORMAT = "agegender-last/4"


@dataclass(frozen=True)
class Last:
    """Training between two steps: tensors and plain data."""

    position: dict[str, Any]
    """phase, epoch, epoch_step (steps done in an epoch under way; 0 where the epoch is over), step."""
    network: dict[str, Any]
    optimizer: dict[str, Any]
    balancer: dict[str, Any]
    group_dro: dict[str, Any] | None
    monitor: dict[str, Any]
    history: list[dict[str, Any]]
    """A row for each epoch that is over."""
    tally: dict[str, Any]
    """Sums of the epoch under way."""
    scaler: dict[str, Any]
    """Of precision 16's losses; empty for other precisions."""
    average: dict[str, Any] | None
    """Of the moving average of the weights."""
    rng: list[dict[str, Any]]
    """A rank each: `cpu`, the state of torch's generator, `device`, that of an accelerator (None on a CPU),
    and its type."""
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


def rng_state(device: torch.device) -> dict[str, Any]:
    """The states of this process's generators."""
    module = getattr(torch, device.type, None)
    own = None if device.type == "cpu" or module is None else module.get_rng_state()
    return {"type": device.type, "cpu": torch.get_rng_state(), "device": own}


def restore_rng(last: Last, device: torch.device, rank: int) -> None:
    """Draw on where the checkpoint stood; what it does not know (a rank, a kind of device) draws anew."""
    if rank >= len(last.rng):
        return
    set_rng_state(last.rng[rank], device)


def set_rng_state(state: dict[str, Any], device: torch.device) -> None:
    """Draw on from a state; one of another kind of device leaves this one's generator as it is."""
    torch.set_rng_state(state["cpu"])
    if state["device"] is not None and state["type"] == device.type:
        getattr(torch, device.type).set_rng_state(state["device"])
