"""Whether a gender told with 80 % is right four times in five."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agegender.evaluation.bootstrap import Floats
from agegender.evaluation.ratios import Estimate, Ratio
from agegender.evaluation.temperature import SMALLEST

BINS = 15
"""Of equal width, from 0 to 1; with two classes no confidence lies in the lower ones."""


class GenderConfidence:
    """Confidences in the predicted gender and whether it is right; faces of unknown gender are left out."""

    def __init__(self, table: pd.DataFrame, female_prob: pd.Series[float]) -> None:
        is_known_N = (table["gender"].notna() & female_prob.notna()).to_numpy()
        prob_N = female_prob.to_numpy(np.float64)
        self.confidence_N = _where(is_known_N, np.where(table["gender_pred"] == "female", prob_N, 1 - prob_N))
        self.is_right_N = _where(is_known_N, table["gender"] == table["gender_pred"])
        true_prob_N = np.where(table["gender"] == "female", prob_N, 1 - prob_N)
        self.log_loss_N = _where(is_known_N, -np.log(np.clip(true_prob_N, SMALLEST, 1 - SMALLEST)))

    def members(self) -> Floats:
        """1 where a face's confidence is in the bin (N, BINS): above its lower edge, up to its upper one."""
        bins_N = np.ceil(np.nan_to_num(self.confidence_N) * BINS) - 1
        in_bin_NK = np.maximum(bins_N, 0)[:, None] == np.arange(BINS)
        member_NK: Floats = (in_bin_NK & ~np.isnan(self.confidence_N)[:, None]).astype(np.float64)
        return member_NK

    def gaps(self) -> Ratio:
        """Each bin's part of the calibration error: share of the faces in it x (confidence - accuracy)."""
        gap_N = np.nan_to_num(self.confidence_N - self.is_right_N)
        return Ratio(self.members() * gap_N[:, None], self.members().sum(axis=1, keepdims=True))

    def in_bins(self) -> dict[str, Ratio]:
        """Mean `confidence` and `accuracy` of each bin's faces."""
        members_NK = self.members()
        columns = {"confidence": self.confidence_N, "accuracy": self.is_right_N}
        return {
            name: Ratio(members_NK * np.nan_to_num(column_N)[:, None], members_NK)
            for name, column_N in columns.items()
        }


def calibration_error(gaps: Estimate) -> Estimate:
    """The expected calibration error: absolute gaps of all bins added up.

    Naeini, Cooper and Hauskrecht, AAAI 2015; with these bins as in Guo et al., ICML 2017.
    """
    return Estimate(np.abs(gaps.value_K).sum(keepdims=True), np.abs(gaps.drawn_RK).sum(axis=1, keepdims=True))


def reflected(estimate: Estimate) -> Estimate:
    """Resamples mirrored at the estimate, none below 0: bounds of the basic bootstrap.

    Chance gaps make a calibration error too large, the more so in resamples, whose percentiles would lie
    too high.
    """
    return Estimate(estimate.value_K, np.maximum(2 * estimate.value_K - estimate.drawn_RK, 0))


def _where(is_known_N: np.ndarray, values: np.ndarray | pd.Series[bool]) -> Floats:
    return np.where(is_known_N, np.asarray(values, np.float64), np.nan)
