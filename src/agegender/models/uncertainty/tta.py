"""Test-time augmentation: the same network looks at several views of a face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from agegender.config.options import UncertaintyOptions
from agegender.core.errors import UserError
from agegender.core.registry import register
from agegender.models.backbone import Backbone
from agegender.models.network import AgeGenderNet, Outputs
from agegender.models.uncertainty.uncertainty import Uncertainty


@register("uncertainty", "tta")
class TestTimeAugmentation(Uncertainty):
    """The plain image, crops towards its four corners at its size, and the mirror image of each.

    After the ten crops of Krizhevsky, Sutskever and Hinton (NIPS 2012). Nothing is drawn.
    """

    class Options(UncertaintyOptions):
        """Settings of the views."""

        flip: bool = Field(description="each view's mirror image, too")
        crop: float = Field(
            ge=0, le=0.25, description="share of the side that each of four crops leaves out; 0: no crops"
        )

        @model_validator(mode="after")
        def _some_view(self) -> Self:
            if not self.flip and not self.crop:
                raise ValueError("flip=false and crop=0 leave the plain image alone: use uncertainty=none")
            return self

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._flip, self._crop = options.flip, options.crop

    @property
    def count(self) -> int:
        return (5 if self._crop else 1) * (2 if self._flip else 1)

    def check(self, backbone: Backbone) -> None:
        size = backbone.input_spec.size
        if self._crop and not self._cut(size):
            raise UserError(
                f"uncertainty.crop={self._crop:g}: less than a pixel of {size}; allowed: 0, or from "
                f"{1 / size:.3g} on"
            )

    def _cut(self, size: int) -> int:
        """Pixels that a crop leaves out."""
        return round(self._crop * size)

    def passes(self, network: AgeGenderNet, images_BCHW: Tensor) -> Iterator[Outputs]:
        for view_BCHW in self._views(images_BCHW):
            yield network(view_BCHW)
            if self._flip:
                yield network(view_BCHW.flip(3))

    def _views(self, images_BCHW: Tensor) -> Iterator[Tensor]:
        yield images_BCHW
        size = images_BCHW.shape[-1]
        cut = self._cut(size)
        for top, left in ((0, 0), (0, cut), (cut, 0), (cut, cut)) if cut else ():
            crop_BChw = images_BCHW[:, :, top : top + size - cut, left : left + size - cut]
            yield F.interpolate(crop_BChw, size=(size, size), mode="bilinear", align_corners=False)
