"""The bounds: what either task reaches where the shared parameters serve it alone."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from agegender.balancing.balancer import TASKS, Balancer, Weights
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


class _SingleTask(Balancer):
    """The other task's head learns from features that it cannot change, so that both figures exist."""

    class Options(BalancerOptions):
        """No settings of its own."""

    is_blind_to_lambda = True

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        super().__init__()

    def _weigh(self, losses_T: Sequence[float], gramian_TT: Tensor | None) -> Weights:  # noqa: ARG002
        return Weights.shared([float(task in self.trained) for task in TASKS])


@register("balancer", "age_only")
class AgeOnly(_SingleTask):
    """The shared parameters follow age."""

    trained = ("age",)


@register("balancer", "gender_only")
class GenderOnly(_SingleTask):
    """The shared parameters follow gender."""

    trained = ("gender",)
