"""Risk-coverage curves and their areas against loops."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from agegender.evaluation.selective import Ranking, areas

Array = npt.NDArray[np.float64]


def _area(unsure: Array, risk: Array) -> float:
    """Mean, over the faces, of the risk on all that are at least as sure."""
    return float(np.mean([risk[unsure <= own].mean() for own in unsure]))


def _drawn(n: int, ties: bool) -> tuple[Array, Array]:
    draw = np.random.default_rng(0)
    unsure = draw.integers(0, 8, n).astype(float) if ties else draw.random(n)
    return unsure, draw.exponential(1 + unsure)


@pytest.mark.parametrize("ties", [False, True])
def test_areas_are_those_of_a_loop(ties: bool) -> None:
    unsure, risk = _drawn(150, ties)
    found = areas({"age": Ranking.of(unsure, risk)}, np.arange(150), bootstrap=0)
    assert found["age_aurc"].value_K == pytest.approx([_area(unsure, risk)])
    best = np.mean(np.sort(risk).cumsum() / np.arange(1, 151))
    assert found["age_aurc_excess"].value_K == pytest.approx([_area(unsure, risk) - best])
    assert found["age_aurc"].drawn_RK.shape == (0, 1)


@pytest.mark.parametrize("ties", [False, True])
def test_weights_are_faces_that_come_several_times(ties: bool) -> None:
    unsure, risk = _drawn(60, ties)
    weights = np.random.default_rng(1).integers(0, 4, 60)
    found = Ranking.of(unsure, risk).area(weights[None].astype(float), np.arange(60))
    assert found == pytest.approx([_area(np.repeat(unsure, weights), np.repeat(risk, weights))])


def test_resamples_do_not_depend_on_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    ranking = Ranking.of(*_drawn(100, False))
    clusters = np.arange(100) // 2
    whole = areas({"age": ranking}, clusters, bootstrap=40)
    monkeypatch.setattr("agegender.evaluation.selective._SLAB", 150)
    parts = areas({"age": ranking}, clusters, bootstrap=40)
    for name, found in whole.items():
        assert found.drawn_RK.shape == (40, 1)
        assert np.array_equal(found.drawn_RK, parts[name].drawn_RK)


def test_the_best_order_has_no_excess_and_the_order_of_rows_no_say() -> None:
    unsure, risk = _drawn(100, True)
    oracle = areas({"age": Ranking.of(risk, risk)}, np.arange(100), bootstrap=0)
    assert oracle["age_aurc_excess"].value_K == pytest.approx([0])
    mixed = np.random.default_rng(2).permutation(100)
    found = [Ranking.of(unsure[i], risk[i]).area(np.ones((1, 100)), np.arange(100)) for i in (mixed, ...)]
    assert found[0] == pytest.approx(found[1])


def test_errors_of_the_best_order_as_geifman_has_them() -> None:
    """The least area with an error rate r is r + (1 - r) ln(1 - r)."""
    is_wrong = (np.arange(20_000) < 4000).astype(float)
    best = Ranking.of(np.zeros(20_000), is_wrong).best()
    assert best.area(np.ones((1, 20_000)), np.arange(20_000)) == pytest.approx(
        [0.2 + 0.8 * np.log(0.8)], abs=1e-4
    )


def test_the_curve_ends_at_the_mean_risk_of_all() -> None:
    unsure, risk = _drawn(50, True)
    risk[:3] = np.nan
    answered, mean = Ranking.of(unsure, risk).curve()
    assert len(answered) == 8
    assert answered[-1] == 1
    assert mean[-1] == pytest.approx(np.nanmean(risk))
    surest = unsure[3:] == 0
    assert (answered[0], mean[0]) == pytest.approx((surest.mean(), risk[3:][surest].mean()))


def test_nothing_to_rank() -> None:
    assert areas({}, np.arange(0), bootstrap=10) == {}
