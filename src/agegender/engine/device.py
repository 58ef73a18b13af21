"""Where the steps run and in which numbers, through Lightning Fabric."""

from __future__ import annotations

import logging
from typing import Any

import torch
from lightning_fabric import Fabric

from agegender.core.allocator import keep_freed_memory
from agegender.core.errors import UserError

_PRECISION: dict[Any, Any] = {32: "32-true", "bf16": "bf16-mixed", 16: "16-mixed"}


def check_accelerator(accelerator: str) -> None:
    """Raises UserError when this machine has no such device."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(accelerator, True):
        here = ["auto", "cpu", *(name for name, is_here in available.items() if is_here)]
        raise UserError(f"trainer.accelerator={accelerator}: not on this machine (here: {', '.join(here)})")


def check_precision(accelerator: str, precision: int | str) -> None:
    """Raises UserError for numbers that the device cannot train in."""
    device = _device_type(accelerator)
    if precision == 16 and device != "cuda":
        raise UserError(
            f"trainer.precision=16 needs a cuda device, and this would run on {device}; take auto, 32 or bf16"
        )


def resolve_precision(accelerator: str, precision: int | str) -> int | str:
    """What `auto` means here: bf16 where the hardware computes in it, else 32."""
    if precision != "auto":
        return precision
    return "bf16" if _has_bf16(_device_type(accelerator)) else 32


def make_fabric(accelerator: str, precision: int | str = 32) -> Fabric:
    """One device and its autocast; the network itself stays a bare module."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=accelerator, devices=1, precision=_PRECISION[resolve_precision(accelerator, precision)]
    )
    if fabric.device.type == "cpu":
        keep_freed_memory()
    return fabric


def _device_type(accelerator: str) -> str:
    if accelerator != "auto":
        return accelerator
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", None)  # older versions of torch cannot tell
        found = capabilities() if capabilities else {}
        return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    return False
