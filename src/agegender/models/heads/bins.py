"""Age as a class a bin of years, with edges that follow the labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agegender.config.options import GridHeadOptions
from agegender.core.registry import register
from agegender.core.types import LabelSpec
from agegender.models.grid_head import GridHead
from agegender.models.label_prior import year_edges


@register("age_head", "bins")
class BinsHead(GridHead):
    """Softmax over ordered bins, each an even density over its years.

    The likelihood of a label is the mass of its years, from low - 0.5 to high + 0.5 (an exact age y is all
    that rounds to it), so that exact ages and intervals are one case. Edges are `uniform`, at `quantile`s of
    the training labels, or `learned` with the network: they start at the quantiles, and a softmax shares the
    range out to the bins, after AdaBins (Bhat, Alhashim and Wonka, CVPR 2021), which does so for each image.
    Posterior, mean, median and standard deviation are those of the mass in each year. In nats, without a
    unit.
    """

    class Options(GridHeadOptions):
        """Settings of the bins."""

        bins: int = Field(ge=2, le=500, description="how many")
        edges: Literal["uniform", "quantile", "learned"] = Field(
            description="as wide as each other, as full as each other in train, or learned from there"
        )

    free_widths_K: Tensor

    def __init__(self, options: Options, num_features: int, label_spec: LabelSpec) -> None:
        super().__init__(options, label_spec)
        self.linear = nn.Linear(num_features, options.bins)
        ends, below = year_edges(self.ages_A.numpy()), np.append(0, self.prior().cumsum())
        edges = np.linspace(ends[0], ends[-1], options.bins + 1)
        if options.edges != "uniform":
            edges = np.interp(np.linspace(0, 1, options.bins + 1), below, ends)
        with torch.no_grad():
            self.linear.bias.copy_(torch.from_numpy(np.diff(np.interp(edges, ends, below))).log())
        free_widths_K = torch.from_numpy(np.log(np.diff(edges))).float()
        if options.edges == "learned":
            self.free_widths_K = nn.Parameter(free_widths_K)
        else:
            self.register_buffer("free_widths_K", free_widths_K, persistent=False)

    def edges(self) -> Tensor:
        """Edges of the bins in years (K + 1,), rising: half a year more than the ages at either end."""
        upper_K = self.free_widths_K.softmax(0).cumsum(0) * len(self.ages_A)
        return F.pad(upper_K, (1, 0)) + self.ages_A[0] - 0.5

    def forward(self, features_BF: Tensor) -> Tensor:
        logits_BK: Tensor = self.linear(features_BF)
        return logits_BK

    def losses(self, raw_BK: Tensor, age_B2: Tensor) -> Tensor:
        low_B, high_B = self.on_grid(age_B2).unbind(1)
        share_BK = _shares(self.edges(), low_B - 0.5, high_B + 0.5)
        # -inf where a bin is not met: put in place afterwards, or its gradient would be no number
        is_met_BK = share_BK > 0
        log_share_BK = share_BK.where(is_met_BK, 1.0).log().where(is_met_BK, -torch.inf)
        return -(raw_BK.log_softmax(1) + log_share_BK).logsumexp(1)

    def posterior(self, raw_BK: Tensor) -> Tensor:
        share_AK = _shares(self.edges(), self.ages_A - 0.5, self.ages_A + 0.5)
        posterior_BA = raw_BK.softmax(1) @ share_AK.mT
        return posterior_BA / posterior_BA.sum(1, keepdim=True)


def _shares(edges_K1: Tensor, start_N: Tensor, end_N: Tensor) -> Tensor:
    """Share of each bin's width that lies between start and end (N, K)."""
    left_K, right_K = edges_K1[:-1], edges_K1[1:]
    overlap_NK = torch.minimum(right_K, end_N[:, None]) - torch.maximum(left_K, start_N[:, None])
    return overlap_NK.clamp(min=0) / (right_K - left_K)
