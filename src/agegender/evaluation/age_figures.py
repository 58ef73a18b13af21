"""Figures of predicted ages, each for many weightings of the faces at once."""

from __future__ import annotations

import numpy as np

from agegender.evaluation.bootstrap import Floats

WITHIN = (3, 5, 10)
"""Years, of the cumulative score."""

RANGE = (1, 99)
"""Percentiles, between which nearly all ages lie."""

AGE_FIGURES = (
    "age_median_error",
    *(f"age_cs_{years}" for years in WITHIN),
    "age_bias",
    "age_slope",
    "age_r2",
    "age_skill",
)

_SAME = 1e-9
"""Years squared; ages that vary less are all the same but for rounding."""


def age_error(ages_N2: Floats, predicted_N: Floats) -> Floats:
    """Signed distance in years from the labelled interval, 0 inside it; NaN where no age is known."""
    error_N: Floats = predicted_N - np.clip(predicted_N, ages_N2[:, 0], ages_N2[:, 1])
    return error_N


def age_figures(ages_N2: Floats, predicted_N: Floats, weights_RN: Floats) -> dict[str, Floats]:
    """AGE_FIGURES of R weightings by whole numbers, (R,) each; NaN where a weighting leaves one undefined.

    The median of the absolute error; the share of errors of at most k years (the cumulative score CS@k of
    Geng, Zhou and Smith-Miles, TPAMI 2007); the mean signed error, above 0 where faces are made older; the
    slope of the least-squares line of the predicted on the labelled age (of intervals: their midpoint),
    below 1 where the old are made younger and the young older; `r2 = 1 - MSE / MSE of the constant` and
    `skill = 1 - RMSE / RMSE of the constant`, which answers the mean labelled age of the weighted faces.
    """
    error_N = age_error(ages_N2, predicted_N)
    order = np.argsort(np.abs(error_N), kind="stable")[: np.count_nonzero(~np.isnan(error_N))]
    if not len(order):
        return {name: np.full(len(weights_RN), np.nan) for name in AGE_FIGURES}
    error_N, ages_N2, predicted_N = error_N[order], ages_N2[order], predicted_N[order]
    absolute_N, label_N = np.abs(error_N), ages_N2.mean(axis=1)
    weights_RN = np.take(weights_RN, order, axis=1)
    centre = label_N.mean()
    x_N, y_N = label_N - centre, predicted_N - centre
    within = [absolute_N <= years for years in WITHIN]
    columns = [np.ones_like(x_N), error_N, error_N**2, x_N, y_N, x_N**2, x_N * y_N, *within]
    count, signed, squared, x, y, xx, xy, *hits = (weights_RN @ np.column_stack(columns)).T
    with np.errstate(invalid="ignore", divide="ignore"):
        varied = xx - x**2 / count
        slope = np.where(varied > _SAME * count, (xy - x * y / count) / varied, np.nan)
        of_constant = _squared_error(ages_N2, centre + x / count, weights_RN)
        unexplained = np.where(of_constant > _SAME * count, squared / of_constant, np.nan)
        found = (
            _median(absolute_N, weights_RN),
            *(hit / count for hit in hits),
            signed / count,
            slope,
            1 - unexplained,
            1 - np.sqrt(unexplained),
        )
    return dict(zip(AGE_FIGURES, found, strict=True))


def age_ranges(ages_N2: Floats, predicted_N: Floats) -> dict[str, float | None]:
    """The 1st and 99th percentile, in years, of the labelled ages and of what is predicted for those faces.

    Intervals count with their midpoint. None where no age is known.
    """
    known = ~np.isnan(ages_N2[:, 0])
    found: dict[str, float | None] = {}
    for name, years in (("true", ages_N2.mean(axis=1)[known]), ("pred", predicted_N[known])):
        low, high = np.percentile(years, RANGE).tolist() if len(years) else (None, None)
        found |= {f"age_{name}_p1": low, f"age_{name}_p99": high}
    return found


def _median(sorted_N: Floats, weights_RN: Floats) -> Floats:
    """The weighted median, (R,): the mean of the two in the middle where their number is even."""
    up_to_RN = np.cumsum(weights_RN, axis=1)
    count = up_to_RN[:, -1]
    middle = []
    for rank in ((count - 1) // 2, count // 2):
        place = (up_to_RN <= rank[:, None]).sum(axis=1)
        middle.append(sorted_N[np.minimum(place, len(sorted_N) - 1)])
    return np.where(count > 0, (middle[0] + middle[1]) / 2, np.nan)


def _squared_error(ages_N2: Floats, answer_R: Floats, weights_RN: Floats) -> Floats:
    """The summed squared error of one answer to all faces."""
    answer_R1 = answer_R[:, None]
    error_RN = answer_R1 - np.clip(answer_R1, ages_N2[:, 0], ages_N2[:, 1])
    summed: Floats = np.einsum("rn,rn,rn->r", weights_RN, error_RN, error_RN)
    return summed
