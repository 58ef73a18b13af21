"""Figures of predicted gender, each for many weightings of the faces at once."""

from __future__ import annotations

import numpy as np

from agegender.evaluation.bootstrap import Floats

GENDER_FIGURES = (
    "gender_balanced_accuracy",
    "gender_recall_female",
    "gender_recall_male",
    "gender_auroc",
    "gender_brier",
)


def gender_figures(
    female_true_N: Floats, female_pred_N: Floats, female_prob_N: Floats, weights_RN: Floats
) -> dict[str, Floats]:
    """GENDER_FIGURES of R weightings, (R,) each; NaN where a weighting leaves one undefined.

    `female_true_N` is 1 female, 0 male, NaN unknown; `female_pred_N` 1 or 0; `female_prob_N` P(female). The
    recall of a gender is the share of its faces that are told rightly, the balanced accuracy the mean of
    both; the AUROC the chance that of one female and one male face the female has the higher P(female),
    ties counting half; the Brier score the mean squared error of P(female) (Brier 1950), 0.25 for a coin.
    """
    female_N, male_N = female_true_N == 1, female_true_N == 0
    weights_RF, weights_RM = (np.compress(rows, weights_RN, axis=1) for rows in (female_N, male_N))
    females, males = weights_RF.sum(axis=1), weights_RM.sum(axis=1)
    prob_F, prob_M = female_prob_N[female_N], female_prob_N[male_N]
    squared = weights_RF @ (1 - prob_F) ** 2 + weights_RM @ prob_M**2
    with np.errstate(invalid="ignore", divide="ignore"):
        of_female = weights_RF @ female_pred_N[female_N] / females
        of_male = weights_RM @ (1 - female_pred_N[male_N]) / males
        auroc = _ordered_pairs(prob_F, prob_M, weights_RF, weights_RM) / (females * males)
        found = ((of_female + of_male) / 2, of_female, of_male, auroc, squared / (females + males))
    return dict(zip(GENDER_FIGURES, found, strict=True))


def _ordered_pairs(prob_F: Floats, prob_M: Floats, weights_RF: Floats, weights_RM: Floats) -> Floats:
    """Mann and Whitney's U, (R,): the weight of the pairs whose female face has the higher probability."""
    order = np.argsort(prob_M, kind="stable")
    below_RM = np.zeros((len(weights_RM), len(order) + 1))
    np.cumsum(np.take(weights_RM, order, axis=1), axis=1, out=below_RM[:, 1:])
    lower, not_higher = (np.searchsorted(prob_M[order], prob_F, side) for side in ("left", "right"))
    below_RF = np.take(below_RM, lower, axis=1) + np.take(below_RM, not_higher, axis=1)
    pairs: Floats = np.einsum("rf,rf->r", weights_RF, below_RF) / 2
    return pairs
