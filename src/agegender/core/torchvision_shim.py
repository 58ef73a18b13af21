"""The only door to torchvision, because its CUDA wheel does not import beside a CPU-only torch.

The wheel registers meta kernels for two compiled operators (`nms`, `qnms`) that a CPU torch never
loaded. No model or transform used here calls them, so declaring their schemas is enough.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def _declare_missing_operators() -> torch.library.Library | None:
    """Declare what is missing; the returned library must stay alive, hence the cache."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    return library


def import_torchvision(submodule: str = "") -> ModuleType:
    """Import `torchvision` (or `torchvision.<submodule>`) whatever build of torch is installed.

    Raises ImportError with an install hint when torchvision itself is not installed.
    """
    name = f"torchvision.{submodule}" if submodule else "torchvision"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(f"{name} is not installed: pip install torchvision") from error
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        _declare_missing_operators()
        return importlib.import_module(name)
