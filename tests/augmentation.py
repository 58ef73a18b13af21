"""Augmentation options for tests: a preset with some of its values changed."""

from __future__ import annotations

from agegender.config.compose import conf_dir
from agegender.config.schema import AugmentOptions
from agegender.core.files import read_yaml


def augmentation(preset: str = "none", /, **values: float) -> AugmentOptions:
    """The preset, these values apart."""
    return AugmentOptions(**{**read_yaml(conf_dir() / "augment" / f"{preset}.yaml"), **values})
