"""Where the steps run, through Lightning Fabric."""

from __future__ import annotations

import logging
from typing import Any

import torch
from lightning_fabric import Fabric

from agegender.core.errors import UserError

_PRECISION: dict[Any, Any] = {32: "32-true", "bf16": "bf16-mixed"}


def check_accelerator(accelerator: str) -> None:
    """Raises UserError when this machine has no such device."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(accelerator, True):
        here = ["auto", "cpu", *(name for name, is_here in available.items() if is_here)]
        raise UserError(f"trainer.accelerator={accelerator}: not on this machine (here: {', '.join(here)})")


def make_fabric(accelerator: str, precision: int | str = 32) -> Fabric:
    """One device and its autocast; the network itself stays a bare module."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    return Fabric(accelerator=accelerator, devices=1, precision=_PRECISION[precision])
