"""What a backbone costs, counted on a network without memory."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from agegender.models.backbone import Backbone


def count_macs(backbone: Backbone) -> int:
    """Multiply-accumulates of convolutions, linear layers and attention for one image at its input size.

    The backbone must be on the meta device.
    """
    size = backbone.input_spec.size
    image_1CHW = torch.zeros(1, 3, size, size, device="meta")
    with FlopCounterMode(display=False) as counter:
        backbone.eval()(image_1CHW)
    flops: int = counter.get_total_flops()
    return flops // 2
