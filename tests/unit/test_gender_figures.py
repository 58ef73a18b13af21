"""Figures of gender against scikit-learn and a bootstrap written down in pandas."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    recall_score,
    roc_auc_score,
)

from agegender.core.types import GENDERS
from agegender.evaluation.bootstrap import resampled_weights
from agegender.evaluation.gender_figures import GENDER_FIGURES, gender_figures
from agegender.evaluation.metrics import metrics

from ..made import predictions


def _faces(n: int) -> pd.DataFrame:
    """One in seven of unknown gender; probabilities of one digit, so that many tie."""
    faces = predictions(n)
    draw = np.random.default_rng(0)
    prob = np.clip((faces["gender"] == "female") * 0.25 + draw.normal(0.35, 0.25, n), 0, 1).round(1)
    faces = faces.assign(gender_prob=prob, gender_pred=np.where(prob >= 0.5, "female", "male"))
    faces.loc[::7, "gender"] = None
    return faces


def _by_scikit_learn(faces: pd.DataFrame) -> dict[str, float]:
    known = faces.dropna(subset="gender")
    true, said, prob = known["gender"], known["gender_pred"], known["gender_prob"]
    female, male = (recall_score(true, said, pos_label=gender) for gender in GENDERS)
    return {
        "gender_balanced_accuracy": balanced_accuracy_score(true, said),
        "gender_recall_female": female,
        "gender_recall_male": male,
        "gender_auroc": roc_auc_score(true == "female", prob),
        "gender_brier": brier_score_loss(true == "female", prob),
    }


def _weighted(faces: pd.DataFrame, weights_RN: npt.ArrayLike) -> dict[str, npt.NDArray[np.float64]]:
    code = {"female": 1.0, "male": 0.0}
    columns = (faces["gender"].map(code), faces["gender_pred"].map(code), faces["gender_prob"], weights_RN)
    return gender_figures(*(np.asarray(column, np.float64) for column in columns))


def test_figures_are_those_of_scikit_learn() -> None:
    faces = _faces(150)
    figures = metrics(faces, bootstrap=0)
    assert {name: figures[name] for name in GENDER_FIGURES} == pytest.approx(_by_scikit_learn(faces))
    known = faces.dropna(subset="gender")
    expected = confusion_matrix(known["gender"], known["gender_pred"], labels=GENDERS).tolist()
    assert [list(row.values()) for row in figures["gender_confusion"].values()] == expected
    assert list(figures["gender_confusion"]) == list(figures["gender_confusion"]["male"]) == list(GENDERS)


def test_a_weight_is_so_many_copies_of_a_face() -> None:
    faces = _faces(60)
    weights_RN = np.random.default_rng(0).integers(0, 4, (20, 60))
    found = _weighted(faces, weights_RN)
    for row, weights_N in enumerate(weights_RN):
        copies = faces.loc[np.repeat(faces.index, weights_N)]
        assert {name: found[name][row] for name in GENDER_FIGURES} == pytest.approx(_by_scikit_learn(copies))


def test_intervals_are_those_of_a_bootstrap_in_pandas() -> None:
    faces = _faces(80)
    clusters = [part for _, part in faces.groupby("cluster")]
    (weights_RC,) = resampled_weights(len(clusters), 40, seed=0)
    samples = [
        _by_scikit_learn(pd.concat([part for part, times in zip(clusters, row, strict=True)
                                    for _ in range(int(times))]))
        for row in weights_RC
    ]  # fmt: skip
    figures = metrics(faces, bootstrap=40)
    for name in GENDER_FIGURES:
        low, high = np.percentile([sample[name] for sample in samples], [2.5, 97.5])
        assert (figures[f"{name}_low"], figures[f"{name}_high"]) == pytest.approx((low, high)), name
        assert low < figures[name] < high


@pytest.mark.parametrize(("prob", "auroc", "brier"), [(0.5, 0.5, 0.25), (1.0, 0.5, 0.5)])
def test_a_constant_probability(prob: float, auroc: float, brier: float) -> None:
    faces = predictions(4).assign(gender=["female", "male", "female", "male"])
    figures = metrics(faces.assign(gender_prob=prob, gender_pred="female"), bootstrap=20)
    assert (figures["gender_auroc"], figures["gender_brier"]) == (auroc, brier)
    assert (figures["gender_auroc_low"], figures["gender_auroc_high"]) == (auroc, auroc)
    assert figures["gender_balanced_accuracy"] == 0.5


def test_one_gender_only_has_its_recall_and_brier_score() -> None:
    figures = metrics(predictions(20).assign(gender="female"), bootstrap=20)
    for name in ("gender_recall_female", "gender_brier"):
        assert figures[f"{name}_low"] <= figures[name] <= figures[f"{name}_high"]
    for name in ("gender_recall_male", "gender_balanced_accuracy", "gender_auroc"):
        assert figures[name] is figures[f"{name}_low"] is figures[f"{name}_high"] is None
    assert figures["gender_confusion"]["male"] == {"female": 0, "male": 0}


def test_without_genders_there_is_nothing() -> None:
    figures = metrics(predictions(20).assign(gender=None), bootstrap=20)
    assert {figures[name] for name in (*GENDER_FIGURES, "gender_confusion")} == {None}
