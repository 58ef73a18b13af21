"""Ways to predict, as their YAML has them."""

from __future__ import annotations

from typing import Any

from agegender.config.compose import conf_dir
from agegender.core import registry
from agegender.core.files import read_yaml
from agegender.models.uncertainty.uncertainty import Uncertainty


def make_uncertainty(name: str = "none", **options: Any) -> Uncertainty:
    """The component with its YAML's defaults, some of them changed."""
    plain = {**read_yaml(conf_dir() / "uncertainty" / f"{name}.yaml"), **options}
    made: Uncertainty = registry.build(
        "uncertainty", registry.find("uncertainty", name).Options.model_validate(plain)
    )
    return made
