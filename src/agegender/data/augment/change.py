"""Random changes of training images, a batch at once: every sample has its own, whatever its batch.

Mirror image, rotation, zoom and shift first, in one warp; then brightness, contrast, saturation; then
random erasing.
"""

from __future__ import annotations

from torch import Tensor

from agegender.config.schema import AugmentOptions
from agegender.data.augment import colour
from agegender.data.augment.draws import Draw, factor
from agegender.data.augment.erase import erase_
from agegender.data.augment.warp import warp


def change(images_BCHW: Tensor, draws_BK: Tensor, options: AugmentOptions) -> Tensor:
    """Changed images (values 0..255), given each sample's uniform draws; may work in place."""
    images_BCHW = warp(images_BCHW, draws_BK, options)
    if options.brightness:
        colour.brighten_(images_BCHW, factor(draws_BK[:, Draw.BRIGHTNESS], options.brightness))
    if options.contrast:
        colour.contrast_(images_BCHW, factor(draws_BK[:, Draw.CONTRAST], options.contrast))
    if options.saturation or options.grayscale:
        factor_B = factor(draws_BK[:, Draw.SATURATION], options.saturation)
        is_grey_B = draws_BK[:, Draw.GRAYSCALE] < options.grayscale
        colour.saturate_(images_BCHW, factor_B.masked_fill(is_grey_B, 0))
    if options.erase:
        erase_(images_BCHW, draws_BK, options.erase)
    return images_BCHW
