"""Where the steps run and in which numbers, through Lightning Fabric."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn

from agegender.config.schema import TrainerOptions
from agegender.core.allocator import keep_freed_memory
from agegender.core.errors import UserError
from agegender.core.world import current_world

_PRECISION: dict[Any, Any] = {32: "32-true", "bf16": "bf16-mixed", 16: "16-mixed"}

_PATIENCE = timedelta(hours=2)
"""How long ranks wait for one that is alive: the first reads and searches all faces before the others do."""


def check_accelerator(accelerator: str) -> None:
    """Raises UserError when this machine has no such device."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(accelerator, True):
        here = ["auto", "cpu", *(name for name, is_here in available.items() if is_here)]
        raise UserError(f"trainer.accelerator={accelerator}: not on this machine (here: {', '.join(here)})")


def check_devices(trainer: TrainerOptions) -> None:
    """Raises UserError for a device that is not here, more than there are, or numbers it does not know."""
    check_accelerator(trainer.accelerator)
    kind = _chosen(trainer.accelerator)
    here, name = {
        "cuda": (torch.cuda.device_count(), "GPUs"),
        "mps": (1, "MPS devices"),
        "cpu": (_cores(), "CPU cores"),
    }[kind]
    if trainer.devices > here:
        raise UserError(
            f"trainer.devices={trainer.devices}: more than the {name} of this machine (1 to {here}, "
            f"trainer.accelerator={trainer.accelerator})"
        )
    if trainer.precision == 16 and kind != "cuda":
        raise UserError(
            f"trainer.precision=16 needs a cuda device, and this would run on {kind}; take auto, 32 or bf16"
        )
    if trainer.compile:
        _check_compiler()


def _check_compiler() -> None:
    """torch's own error for this comes in the first step, and over many lines."""
    if sys.platform == "win32":
        return
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise UserError(
            f"trainer.compile=true needs a C++ compiler, and {compiler} is not on this machine; install it, "
            "or name another in the environment variable CXX"
        )


def resolve_precision(accelerator: str, precision: int | str, network: nn.Module) -> int | str:
    """What `auto` means here: bf16 where the hardware computes in it, else 32.

    CPUs compute depthwise convolutions, hence whole MobileNets, more slowly in bf16 than in float32.
    """
    if precision != "auto":
        return precision
    kind = _chosen(accelerator)
    return "bf16" if _has_bf16(kind) and not (kind == "cpu" and _is_depthwise(network)) else 32


def _is_depthwise(network: nn.Module) -> bool:
    return any(
        isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
        for module in network.modules()
    )


def _has_bf16(kind: str) -> bool:
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", None)  # older versions of torch cannot tell
        found = capabilities() if capabilities else {}
        return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    return False


def _chosen(accelerator: str) -> str:
    """What `auto` means, as Fabric decides it."""
    if accelerator != "auto":
        return accelerator
    if torch.backends.mps.is_available():
        return "mps"
    return "cuda" if torch.cuda.is_available() else "cpu"


def _cores() -> int:
    """Those that this process may use: a container or a batch job often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_fabric(accelerator: str, precision: int | str = 32, devices: int = 1, num_nodes: int = 1) -> Fabric:
    """This process's device and its autocast; the network itself stays a bare module.

    With several devices the process must be one of them (`core/world.py`), and joins the others here.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    numbers = _PRECISION[precision]
    if devices * num_nodes == 1:
        alone = LightningEnvironment()  # else Fabric would take the word of a batch job's variables
        fabric = Fabric(accelerator=accelerator, devices=1, precision=numbers, plugins=alone)
    else:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            strategy=DDPStrategy(timeout=_PATIENCE),
            precision=numbers,
            plugins=_environment(),
        )
        fabric.launch()
    if fabric.device.type == "cpu":
        keep_freed_memory()
    return fabric


def _environment() -> ClusterEnvironment:
    world = current_world()
    assert world is not None
    return SLURMEnvironment() if world.launcher == "srun" else TorchElasticEnvironment()
