"""Age against gender: what is drawn, what bounds it, and the areas that are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from PIL import Image

from agegender.evaluation.pareto import hypervolume
from agegender.report import pareto
from agegender.report.canvas import GREY, new_figure
from agegender.report.jobs import JobPlace, Jobs, read_jobs
from agegender.report.leaderboard import ranked
from agegender.report.page import Figure, Table, Text
from agegender.report.tradeoff import hypervolume_of, places_of, single_task_bounds, tradeoff_blocks

from ..made import CONSTANT, figures, make_run

REFERENCE = (CONSTANT["age_score"], CONSTANT["gender_f1"])


def _jobs(folder: Path, *made: tuple[dict[str, str], float, float]) -> Jobs:
    """Jobs from (settings, RMSE, F1)."""
    places = []
    for i, (settings, rmse, f1) in enumerate(made):
        path = make_run(folder / str(i), figures(rmse, f1))
        places.append(JobPlace(i, path, str(i), settings))
    return read_jobs(places)


def _grid(*, single: bool = True) -> list[tuple[dict[str, str], float, float]]:
    made = [({"balancer": "fixed", "loss.lambda": str(x)}, 9 + x / 10, 0.6 + x / 50) for x in (10, 1, 5)]
    made += [({"balancer": "pcgrad", "loss.lambda": "1"}, 9.3, 0.75)]
    made += [({"balancer": "mgda", "loss.lambda": "1"}, 12.0, 0.6)]
    if single:
        made += [({"balancer": "age_only", "loss.lambda": "1"}, 8.5, 0.3)]
        made += [({"balancer": "gender_only", "loss.lambda": x}, 33.0, 0.8 + float(x) / 50) for x in "12"]
    return made


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The axes that get drawn."""
    drawn = []

    def kept(*args: Any) -> object:
        figure, axis = new_figure(*args)
        drawn.append(axis)
        return figure, axis

    monkeypatch.setattr(pareto, "new_figure", kept)
    return drawn


def test_the_picture(axes: list[Axes], tmp_path: Path) -> None:
    jobs = _jobs(tmp_path, *_grid())
    figure = tradeoff_blocks(tmp_path / "plots", jobs, ranked(jobs))[0]
    assert isinstance(figure, Figure)
    Image.open(figure.path).verify()
    (axis,) = axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("test age score →", "test gender macro F1 →")
    numbers = {text.get_text() for text in axis.texts}
    assert numbers == {"1", "2", "3", "4", "5"}
    labels = [text.get_text() for text in axis.figure.legends[0].get_texts()]
    assert labels[0] == "1  fixed · 10"
    assert labels[-2:] == ["age_only: age score 0.717", "gender_only: gender macro F1 0.840"]
    assert axis.figure.legends[0].get_title().get_text() == "balancer · loss.lambda"
    vertical, horizontal = [line for line in axis.lines if line.get_color() == GREY]
    assert list(vertical.get_xdata()) == pytest.approx([1 - 8.5 / 30] * 2)  # type: ignore[arg-type]
    assert list(horizontal.get_ydata()) == pytest.approx([0.84] * 2)  # type: ignore[arg-type]


def test_lambda_joins_points_in_its_order(axes: list[Axes], tmp_path: Path) -> None:
    jobs = _jobs(tmp_path, *_grid())
    tradeoff_blocks(tmp_path / "plots", jobs, ranked(jobs))
    joined = axes[0].lines[0]
    assert list(joined.get_ydata()) == pytest.approx([0.62, 0.7, 0.8])  # type: ignore[arg-type]


def test_the_front_is_a_staircase(axes: list[Axes], tmp_path: Path) -> None:
    jobs = _jobs(
        tmp_path, *(({"lr": str(i)}, rmse, f1) for i, (rmse, f1) in enumerate([(9, 0.7), (12, 0.8)]))
    )
    tradeoff_blocks(tmp_path / "plots", jobs, ranked(jobs))
    (stairs,) = [line for line in axes[0].lines if line.get_color() == "black"]
    assert list(stairs.get_xdata())[1:3] == pytest.approx([0.6, 0.7])  # type: ignore[arg-type]
    assert list(stairs.get_ydata())[:3] == pytest.approx([0.8, 0.8, 0.7])  # type: ignore[arg-type]
    assert stairs.get_drawstyle() == "steps-pre"


def test_no_numbers_overlap_where_there_is_room(axes: list[Axes], tmp_path: Path) -> None:
    made = [({"lr": str(i)}, 9 + 0.3 * (i % 4), 0.7 + 0.02 * (i // 4)) for i in range(16)]
    jobs = _jobs(tmp_path, *made)
    tradeoff_blocks(tmp_path / "plots", jobs, ranked(jobs))
    boxes = [text.get_window_extent() for text in axes[0].texts]
    assert len(boxes) == 16
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_hypervolumes_are_told_from_the_constant_predictor(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path, *_grid())
    settings = ranked(jobs)
    _, text, table = tradeoff_blocks(tmp_path / "plots", jobs, settings)
    assert isinstance(text, Text)
    points = [(1 - rmse / 30, f1) for _, rmse, f1 in _grid(single=False)]
    whole = hypervolume(points, REFERENCE)
    alone = (1 - 8.5 / 30 - 1 / 3) * (0.84 - 0.34)
    assert hypervolume_of(jobs, settings) == pytest.approx(whole)
    assert f"all settings: {whole:.4f}" in text.text
    assert "age score 0.333, gender macro F1 0.340" in text.text
    assert f"has {alone:.4f}: the settings fill {whole / alone:.1%} of it" in text.text
    assert isinstance(table, Table)
    assert table.headers == ["balancer", "settings", "on the front", "hypervolume"]
    by_name = {row[0]: row[1:] for row in table.rows}
    assert by_name["fixed"] == ["3", "2", f"{hypervolume(points[:3], REFERENCE):.4f}"]
    assert by_name["mgda"] == ["1", "0", f"{(0.6 - 1 / 3) * (0.6 - 0.34):.4f}"]
    assert by_name.keys() == {"fixed", "pcgrad", "mgda"}


def test_without_a_shared_constant_there_is_no_hypervolume(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path, ({"lr": "1"}, 9, 0.8), ({"lr": "2"}, 10, 0.9))
    other = replace(jobs, constants=dict.fromkeys(jobs.constants))
    text = tradeoff_blocks(tmp_path / "plots", other, ranked(other))[1]
    assert isinstance(text, Text)
    assert text.text.startswith("No hypervolume")
    assert hypervolume_of(other, ranked(other)) is None


def test_settings_of_other_keys_have_one_hypervolume(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path, ({"lr": "1"}, 9, 0.8), ({"lr": "2"}, 10, 0.9))
    assert len(tradeoff_blocks(tmp_path / "plots", jobs, ranked(jobs))) == 2


def test_the_best_of_several_bounds_counts(tmp_path: Path) -> None:
    settings = ranked(_jobs(tmp_path, *_grid()))
    assert single_task_bounds(settings) == pytest.approx({"age_score": 1 - 8.5 / 30, "gender_f1": 0.84})
    assert {place.setting.balancer for place in places_of(settings)} == {"fixed", "pcgrad", "mgda"}


@pytest.mark.parametrize("balancers", [["fixed"], ["age_only", "gender_only"]])
def test_nothing_to_trade(balancers: list[str], tmp_path: Path) -> None:
    jobs = _jobs(tmp_path, *(({"balancer": name}, 9.0, 0.8) for name in balancers))
    assert tradeoff_blocks(tmp_path / "plots", jobs, ranked(jobs)) == []
    assert not (tmp_path / "plots").exists()


def test_settings_that_all_fail_are_drawn(axes: list[Axes], tmp_path: Path) -> None:
    """Every RMSE above the cap: the age scores are all 0."""
    places = [
        JobPlace(i, make_run(tmp_path / str(i), figures(40, 0.8, half=None)), str(i), {"lr": str(i)})
        for i in range(2)
    ]
    jobs = read_jobs(places)
    assert tradeoff_blocks(tmp_path / "plots", jobs, ranked(jobs))
    low, high = axes[0].get_xlim()
    assert low < 0 < high
