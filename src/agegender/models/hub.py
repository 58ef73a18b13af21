"""The only door to timm and to the Hugging Face hub, where it keeps its weights."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from torch import Tensor

from agegender.core.errors import UserError
from agegender.core.torchvision_shim import import_torchvision

_FILE, _CONFIG = "model.safetensors", "config.json"
_PATIENCE = 4.0
"""Seconds that the hub has to answer."""


class NeedsTimm(UserError):  # noqa: N818
    """timm is not installed."""


def import_timm() -> ModuleType:
    """timm, which imports torchvision; NeedsTimm where it is missing."""
    import_torchvision("models")
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError:
        raise NeedsTimm("this model or its weights need timm: pip install 'agegender[timm]'") from None


def fetch_from_hub(repository: str, weights: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of OWNER/NAME and timm's words for their preprocessing; timm downloads and caches both.

    Raises UserError that says what to fetch and how to go on when the download fails; `weights` is what
    the user typed.
    """
    timm, hub = import_timm(), importlib.import_module("huggingface_hub")
    try:
        if not _is_in_cache(repository, _CONFIG):  # one question, where a download would ask six times
            hub.get_hf_file_metadata(hub.hf_hub_url(repository, _CONFIG), timeout=_PATIENCE)
        preprocessing = timm.models.load_model_config_from_hf(repository)[0]
        return timm.models.load_state_dict_from_hf(repository, weights_only=True), preprocessing
    except Exception as error:  # the hub's client raises what its HTTP library does, of no common class
        line = " ".join(str(error).split())[:160] or type(error).__name__
        raise UserError(
            f"model.weights={weights}: cannot download the weights ({line}). Fetch "
            f"{hub.hf_hub_url(repository, _FILE)} elsewhere\n  and set model.weights=FILE, or bring the "
            f"repository's folder to {hub.constants.HF_HUB_CACHE}, or set model.weights=null to start from "
            "random weights"
        ) from error


def is_in_cache(repository: str) -> bool:
    """Whether the weights of OWNER/NAME are on this machine."""
    return _is_in_cache(repository, _FILE)


def _is_in_cache(repository: str, name: str) -> bool:
    hub = importlib.import_module("huggingface_hub")
    return isinstance(hub.try_to_load_from_cache(repository, name), str)
