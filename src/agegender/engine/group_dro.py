"""Group-DRO: train for the worst cell of group and gender rather than for the mean face."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agegender.balancing.balancer import TASKS
from agegender.engine.ranks import Ranks


class GroupDRO(nn.Module):
    """Weights q over cells, by exponentiated gradient; a step's loss is the sum of q times the cells' means.

    Sagawa, Koh, Hashimoto and Liang, "Distributionally robust neural networks for group shifts", ICLR 2020,
    algorithm 1 with the mean losses of a step's cells, as in the authors' code. Here each task has weights
    of its own, since the worst cell in age need not be the worst in gender. Two things differ: the weights
    of a step follow from the steps before it, so that its parts and ranks share them (the paper's from this
    one, too); a cell that a step lacks keeps the loss that it had last (theirs counts 0 and loses weight).

    All state is in `state_dict`, on the CPU; every rank has the same.
    """

    log_weights_TG: Tensor
    """log q; a task's cells without a label of it in train have no part."""
    losses_TG: Tensor
    """Mean loss of each cell in the last step that had it, in `units_T`."""

    def __init__(
        self, step_size: float, units_T: Sequence[float], cells: Sequence[str], counts_TG: Tensor
    ) -> None:
        """`units_T` are what one unit of `step_size` counts of each loss; `counts_TG` the labels in train."""
        super().__init__()
        self._step_size, self._cells = step_size, tuple(cells)
        self._units_T = torch.tensor(units_T, dtype=torch.float64)
        takes_part_TG = (counts_TG > 0) | (counts_TG.sum(1, keepdim=True) == 0)
        self.register_buffer("log_weights_TG", takes_part_TG.double().log().log_softmax(1))
        self.register_buffer("losses_TG", torch.zeros(counts_TG.shape, dtype=torch.float64))

    def begin(self, counts_TG: Tensor, device: torch.device) -> None:
        """A step whose cells have so many labels of each task, over all its parts and ranks."""
        share_TG = counts_TG / counts_TG.sum(1, keepdim=True).clamp(min=1)
        weights_TG = self.log_weights_TG.exp() / share_TG.where(counts_TG > 0, torch.inf)
        self._counts_TG = counts_TG
        self._weights_GT = weights_TG.T.float().to(device)
        self._sums_GT = torch.zeros_like(self._weights_GT)

    def weigh(self, losses_BT: Tensor, cell_B: Tensor) -> Tensor:
        """Losses of a part's faces, weighed (B, T): their mean over the whole step is its loss."""
        self._sums_GT.index_add_(0, cell_B, losses_BT.detach().float())
        return losses_BT * self._weights_GT[cell_B]

    def learn(self, ranks: Ranks) -> None:
        """Take the step that has been made into account."""
        means_TG = ranks.sum(self._sums_GT).T.double().cpu() / self._counts_TG.clamp(min=1)
        self.losses_TG.copy_((means_TG / self._units_T[:, None]).where(self._counts_TG > 0, self.losses_TG))
        self.log_weights_TG.copy_((self.log_weights_TG + self._step_size * self.losses_TG).log_softmax(1))

    def figures(self) -> dict[str, float]:
        """Columns of the history: the weight of each cell for each task."""
        weights_TG = self.log_weights_TG.exp().tolist()
        return {
            f"dro_{task} {cell}": weight
            for task, weights_G in zip(TASKS, weights_TG, strict=True)
            for cell, weight in zip(self._cells, weights_G, strict=True)
        }
