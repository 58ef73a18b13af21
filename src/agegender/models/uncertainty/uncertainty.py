"""What every way to predict is: one or several passes of a network over the same faces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor

from agegender.config.options import UncertaintyOptions
from agegender.models.backbone import Backbone
from agegender.models.network import AgeGenderNet, Outputs


class Uncertainty(ABC):
    """Built as `Uncertainty(options)`. The passes are members of an ensemble of equal weight.

    What a pass says of a face depends on the network, the face and the options alone: not on the other
    faces of the batch, nor on any generator's state, which stays as it is.
    """

    def __init__(self, options: UncertaintyOptions) -> None:
        self.options = options

    @property
    @abstractmethod
    def count(self) -> int:
        """How many passes there are."""

    def check(self, backbone: Backbone) -> None:  # noqa: B027 - most networks will do
        """Raises UserError for a backbone that cannot answer in this way."""

    @abstractmethod
    def passes(self, network: AgeGenderNet, images_BCHW: Tensor) -> Iterator[Outputs]:
        """What the network, which is in eval mode and stays so, says in each of them."""


def same_passes(a: UncertaintyOptions, b: UncertaintyOptions) -> bool:
    """Whether a network answers alike under both: what its intervals are made of does not matter."""
    shared = set(UncertaintyOptions.model_fields) - {"name"}
    return a.model_dump(exclude=shared) == b.model_dump(exclude=shared)
