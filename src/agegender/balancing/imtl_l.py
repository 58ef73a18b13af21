"""Impartial multi-task learning, the loss balance: every scaled loss comes to the same size."""

from __future__ import annotations

from pydantic import Field

from agegender.balancing.balancer import TASKS
from agegender.balancing.scalarized import LearnedScalarized
from agegender.config.options import BalancerOptions
from agegender.core.registry import register


@register("balancer", "imtl_l")
class ImtlL(LearnedScalarized):
    """Sum of exp(s) * loss - s over the tasks, s being learned, after Liu et al., ICLR 2021.

    For a loss that stands still exp(s) comes to 1 / loss; lambda cancels there.
    """

    class Options(BalancerOptions):
        """Settings of IMTL-L."""

        lr: float = Field(gt=0, le=10, description="Adam's rate for s, whose steps it bounds")

    is_blind_to_lambda = True
    at_rest = -1.0

    def __init__(self, options: Options, seed: int) -> None:  # noqa: ARG002
        from torchjd.scalarization import IMTLL

        super().__init__(IMTLL(len(TASKS)), options.lr)
