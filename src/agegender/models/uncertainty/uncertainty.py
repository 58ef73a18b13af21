"""What every way to predict is: one or several passes of a network over the same faces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor

from agegender.config.options import UncertaintyOptions
from agegender.models.network import AgeGenderNet, Outputs


class Uncertainty(ABC):
    """Built as `Uncertainty(options)`. The passes are members of an ensemble of equal weight."""

    def __init__(self, options: UncertaintyOptions) -> None:
        self.options = options

    @abstractmethod
    def passes(self, network: AgeGenderNet, images_BCHW: Tensor) -> Iterator[Outputs]:
        """What the network, which is in eval mode and leaves so, says in each of them."""
