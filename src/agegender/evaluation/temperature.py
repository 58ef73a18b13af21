"""Temperature scaling: one number that makes the probability of a gender mean what it says."""

from __future__ import annotations

import numpy as np

from agegender.evaluation.bootstrap import Floats

SMALLEST = float(np.finfo(np.float32).eps)
"""No probability counts as less sure than this or surer than 1 - this: networks know no finer ones."""

_RANGE = (0.01, 100.0)
"""Where a temperature is looked for."""


def fit_temperature(female_prob_N: Floats, is_female_N: Floats) -> float | None:
    """The T that minimises the log loss of sigmoid(logit(P(female)) / T); `is_female_N` is 1 or 0.

    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017; scaling both
    logits of a softmax is the same. None where no T is best: one gender only, every face told rightly
    (surer is always better) or no better than chance (less sure is always better).
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_expit

    margin_N = _logit(female_prob_N) * (2 * is_female_N - 1)
    if len(np.unique(is_female_N)) < 2 or (margin_N > 0).all() or margin_N.sum() <= 0:
        return None
    best = minimize_scalar(
        lambda log_t: -log_expit(margin_N * np.exp(-log_t)).mean(),
        bounds=np.log(_RANGE),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(best.x))


def scaled_probability(female_prob_N: Floats, temperature: float) -> Floats:
    """P(female) at this temperature; the gender that is likelier stays so."""
    from scipy.special import expit

    scaled_N: Floats = expit(_logit(female_prob_N) / temperature)
    return scaled_N


def _logit(prob_N: Floats) -> Floats:
    from scipy.special import logit

    logit_N: Floats = logit(np.clip(prob_N, SMALLEST, 1 - SMALLEST))
    return logit_N
