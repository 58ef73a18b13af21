"""What happens to each image of a batch: numbers drawn once for all, then applied to any part of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

from agegender.config.schema import AugmentOptions
from agegender.data.augment import colour
from agegender.data.augment.draws import Draw, factor
from agegender.data.augment.erase import erase_, rectangles
from agegender.data.augment.warp import maps, origins, warp


@dataclass(frozen=True)
class Plan:
    """A row an image, whatever its batch; None where nothing of that kind is asked for.

    The order is the published one: mirror image, rotation (with zoom and shift, in one warp),
    brightness, contrast; then saturation and random erasing.
    """

    flip_B: Tensor | None
    from_row_B2H1: Tensor | None
    from_column_B21W: Tensor | None
    brightness_B: Tensor | None
    contrast_B: Tensor | None
    saturation_B: Tensor | None
    rows_BH: Tensor | None
    columns_BW: Tensor | None

    def __getitem__(self, part: slice) -> Plan:
        values = [getattr(self, field.name) for field in fields(self)]
        return Plan(*(None if value is None else value[part] for value in values))

    def apply(self, images_BCHW: Tensor) -> Tensor:
        """Changed images, values 0..255; may work in place."""
        if self.from_row_B2H1 is not None and self.from_column_B21W is not None:
            images_BCHW = warp(images_BCHW, self.from_row_B2H1, self.from_column_B21W)
        elif self.flip_B is not None:
            images_BCHW[self.flip_B] = images_BCHW[self.flip_B].flip(3)
        if self.brightness_B is not None:
            colour.brighten_(images_BCHW, self.brightness_B)
        if self.contrast_B is not None:
            colour.contrast_(images_BCHW, self.contrast_B)
        if self.saturation_B is not None:
            colour.saturate_(images_BCHW, self.saturation_B)
        if self.rows_BH is not None and self.columns_BW is not None:
            erase_(images_BCHW, self.rows_BH, self.columns_BW)
        return images_BCHW


def make_plan(draws_BK: Tensor, options: AugmentOptions, size: int) -> Plan:
    """The plan that these uniform draws mean for images of a side in pixels."""
    flip_B = draws_BK[:, Draw.FLIP] < options.flip
    warps = options.rotate or options.zoom or options.shift
    from_row_B2H1, from_column_B21W = (
        origins(maps(flip_B, draws_BK, options), size) if warps else (None, None)
    )
    rows_BH, columns_BW = rectangles(draws_BK, options.erase, size) if options.erase else (None, None)
    return Plan(
        flip_B if options.flip else None,
        from_row_B2H1,
        from_column_B21W,
        factor(draws_BK[:, Draw.BRIGHTNESS], options.brightness) if options.brightness else None,
        factor(draws_BK[:, Draw.CONTRAST], options.contrast) if options.contrast else None,
        _saturation(draws_BK, options) if options.saturation or options.grayscale else None,
        rows_BH,
        columns_BW,
    )


def _saturation(draws_BK: Tensor, options: AugmentOptions) -> Tensor:
    is_grey_B = draws_BK[:, Draw.GRAYSCALE] < options.grayscale
    return factor(draws_BK[:, Draw.SATURATION], options.saturation).masked_fill(is_grey_B, 0)
