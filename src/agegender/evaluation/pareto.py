"""Two figures that are both to be large: what is on the front, and how much it encloses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Point = tuple[float, float]


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """The points that no other one equals or beats in both figures, each once, from left to right."""
    front: list[Point] = []
    for point in sorted(set(points), reverse=True):  # from the right; of one x the highest first
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front[::-1]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Area of what is worse than some point, and better than the reference, in both figures."""
    area, left = 0.0, reference[0]
    for x, y in pareto_front(point for point in points if point[0] > left and point[1] > reference[1]):
        area += (x - left) * (y - reference[1])
        left = x
    return area
