"""How much training makes of each face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Emphasis:
    """Entry i is face i's; None where all faces are alike."""

    weight_N2: Tensor | None = None
    """What a face's loss of each task is multiplied by; 1 in the mean over the faces that training draws."""
    chance_N: npt.NDArray[np.float64] | None = None
    """How probable it is that a draw is this face; 0 outside of train, sums to 1."""
    cell_N: Tensor | None = None
    """Its cell of group-DRO, a place in `cells`."""
    cells: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What was done, with the counts, for the reader of the log."""

    def of_draws(self, rows: npt.NDArray[np.intp]) -> Emphasis:
        """That of drawn faces, each of which then counts as one of its own."""
        index = torch.from_numpy(rows)
        return Emphasis(
            weight_N2=None if self.weight_N2 is None else self.weight_N2[index],
            cell_N=None if self.cell_N is None else self.cell_N[index],
            cells=self.cells,
        )


EVEN = Emphasis()
