"""Fronts and areas counted by hand on squared paper."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.evaluation.pareto import Point, hypervolume, pareto_front

STAIRS = [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(1, 1)], [(1, 1)]),
        ([(2, 2), (1, 3), (3, 1)], [(1, 3), (2, 2), (3, 1)]),
        ([(1, 1), (2, 2)], [(2, 2)]),
        ([(2, 1), (2, 3), (2, 2)], [(2, 3)]),
        ([(1, 2), (3, 2), (2, 2)], [(3, 2)]),
        ([(1, 1), (1, 1)], [(1, 1)]),
    ],
)
def test_the_front(points: list[Point], front: list[Point]) -> None:
    assert pareto_front(points) == front


@pytest.mark.parametrize(
    ("points", "reference", "area"),
    [
        ([], (0, 0), 0),
        ([(3, 2)], (0, 0), 6),
        ([(3, 2)], (1, 1), 2),
        (STAIRS, (0, 0), 6),
        ([*STAIRS, (1, 1), (2, 1), (2, 2)], (0, 0), 6),
        ([*STAIRS, (3, 3)], (0, 0), 9),
        (STAIRS, (1.5, 0.5), 0.5 * 1.5 + 1 * 0.5),
        (STAIRS, (3, 0), 0),
        ([(5, -1), (-1, 5), (1, 1)], (0, 0), 1),
    ],
)
def test_the_area(points: list[Point], reference: Point, area: float) -> None:
    assert hypervolume(points, reference) == pytest.approx(area)


def test_the_area_is_the_share_of_darts_that_hit() -> None:
    draw = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in draw.random((12, 2))]
    darts = draw.random((100_000, 2))
    hit = np.zeros(len(darts), bool)
    for x, y in points:
        hit |= (darts[:, 0] < x) & (darts[:, 1] < y)
    assert hypervolume(points, (0, 0)) == pytest.approx(hit.mean(), abs=0.006)
