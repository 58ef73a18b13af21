"""Exact intervals of shares."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from agegender.evaluation.bootstrap import Floats


def clopper_pearson(shares: Floats, trials: Floats | int) -> tuple[Floats, Floats]:
    """The exact 95 % interval of a binomial's probability (Clopper and Pearson, Biometrika 1934).

    Successes, shares times trials, need not be whole: of faces in clusters the clusters are the trials, which
    errs on the wide side. Of no trials it is 0 to 1.
    """
    hits = shares * trials
    misses = trials - hits
    low = np.where(hits > 0, betaincinv(np.where(hits > 0, hits, 1), misses + 1, 0.025), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.where(misses > 0, misses, 1), 0.975), 1.0)
    return low, high
