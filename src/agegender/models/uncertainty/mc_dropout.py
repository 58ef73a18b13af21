"""Dropout that stays on: each pass asks another part of the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import torch
from pydantic import Field
from torch import Tensor, nn

from agegender.config.options import UncertaintyOptions
from agegender.core.errors import UserError
from agegender.core.registry import register
from agegender.core.seeding import stream
from agegender.models.backbone import Backbone
from agegender.models.network import AgeGenderNet, Outputs
from agegender.models.uncertainty.uncertainty import Uncertainty

_WHOLE_CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_WHOLE_BRANCHES = {"StochasticDepth": "p", "DropPath": "drop_prob"}
"""torchvision's and timm's stochastic depth, and what each calls its rate."""


@register("uncertainty", "mc_dropout")
class MCDropout(Uncertainty):
    """`passes` passes with dropout on (Gal and Ghahramani, ICML 2016); all else is in eval mode.

    In stochastic depth whole residual branches are dropped, at the rate of training. A pass draws its masks
    once and holds them for every face, as one draw of the weights: so its answers do not depend on batches,
    ranks or devices. Rates that a network applies without a module (such as attention dropout in
    nn.MultiheadAttention) stay off.
    """

    class Options(UncertaintyOptions):
        """Settings of Monte Carlo dropout."""

        passes: int = Field(ge=2, le=1000, description="passes over each face, at the cost of one each")
        seed: int = Field(ge=0, le=2**32 - 1, description="draws what is dropped")

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._passes, self._seed = options.passes, options.seed

    @property
    def count(self) -> int:
        return self._passes

    def check(self, backbone: Backbone) -> None:
        if not any(_rate(module) for module in backbone.modules()):
            raise UserError(
                "uncertainty=mc_dropout: the model has no dropout above 0, so that all passes would say the "
                "same; allowed: a model with some (scratch_cnn_v2, convnext_tiny, efficientnet_v2_s), or "
                "uncertainty=none or tta"
            )

    def passes(self, network: AgeGenderNet, images_BCHW: Tensor) -> Iterator[Outputs]:
        for number in range(self._passes):
            with ExitStack() as hooks:
                for name, module in network.named_modules():
                    if _rate(module):
                        handle = module.register_forward_hook(_Drop(self._seed, number, name))
                        hooks.callback(handle.remove)
                outputs = network(images_BCHW)
            yield outputs


class _Drop:
    """A hook that drops from what a module in eval mode passes on: the same for all faces of a pass."""

    def __init__(self, seed: int, number: int, name: str) -> None:
        self._key = (seed, "mc_dropout", number, name)

    def __call__(self, module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kept = 1 - _rate(module)
        shape = (1, *output.shape[1:])
        if isinstance(module, _WHOLE_CHANNELS):
            shape = (*shape[:2], *[1] * (output.ndim - 2))
        elif not isinstance(module, nn.Dropout):
            shape = (1,) * output.ndim
        mask = torch.from_numpy(stream(*self._key).random(shape, dtype="float32") < kept)
        return output * (mask.to(output) / kept if kept else mask.to(output))


def _rate(module: nn.Module) -> float:
    """Share that the module drops while it is trained; 0 for one that is no dropout."""
    if isinstance(module, (nn.Dropout, *_WHOLE_CHANNELS)):
        return module.p
    rate: float | None = getattr(module, _WHOLE_BRANCHES.get(type(module).__name__, ""), None)
    return rate or 0.0
