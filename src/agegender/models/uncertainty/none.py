"""The plain network."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from agegender.config.options import UncertaintyOptions
from agegender.core.registry import register
from agegender.models.network import AgeGenderNet, Outputs
from agegender.models.uncertainty.uncertainty import Uncertainty


@register("uncertainty", "none")
class Plain(Uncertainty):
    """A single pass."""

    class Options(UncertaintyOptions):
        """There is nothing to set but what all share."""

    count = 1

    def passes(self, network: AgeGenderNet, images_BCHW: Tensor) -> Iterator[Outputs]:
        yield network(images_BCHW)
