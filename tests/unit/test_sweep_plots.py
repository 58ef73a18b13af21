"""Which key a sweep is drawn along, and what its pictures say."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from agegender.report import sweep_plots
from agegender.report.canvas import new_figure
from agegender.report.page import Figure
from agegender.report.sweep_plots import sweep_figures, swept_key

CONSTANTS: dict[str, float | None] = {"age_rmse": 20.0, "gender_f1": None, "harmonic_mean": 0.3}


def _rows(**grid: list[str]) -> list[dict[str, Any]]:
    """A finished job for each combination."""
    rows = []
    for i, chosen in enumerate(itertools.product(*grid.values())):
        row: dict[str, Any] = {"status": "ok", **dict(zip(grid, chosen, strict=True))}
        for name, value in (("age_rmse", 9.0), ("age_mae", 7.0), ("gender_f1", 0.8), ("harmonic_mean", 0.7)):
            y = value * (1 + 0.01 * (i % 3))
            row |= {f"test_{name}": y, f"test_{name}_low": 0.9 * y, f"test_{name}_high": 1.1 * y}
        rows.append(row)
    return rows


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The axes that get drawn."""
    drawn = []

    def kept(*args: Any) -> Any:
        figure, axis = new_figure(*args)
        drawn.append(axis)
        return figure, axis

    monkeypatch.setattr(sweep_plots, "new_figure", kept)
    return drawn


def _drawn(rows: list[dict[str, Any]], folder: Path) -> list[Figure]:
    varied = [key for key in rows[0] if key != "status" and not key.startswith("test_")]
    return sweep_figures(folder, rows, varied, "test", CONSTANTS)


def _ticks(axis: Axes) -> list[str]:
    return [label.get_text() for label in axis.get_xticklabels()]


@pytest.mark.parametrize(
    ("grid", "key"),
    [
        ({"loss": ["1", "1e-2"]}, "loss"),
        ({"seed": ["0", "1"]}, None),
        ({"model": ["a", "b"]}, None),
        ({"limit": ["100", "null"]}, None),
        ({"limit": ["100", "inf"]}, None),
        ({"model": ["a", "b"], "seed": ["0", "1"], "limit": ["100", "200"]}, "limit"),
        ({"lr": ["1", "2"], "limit": ["1", "2", "3"]}, "limit"),
    ],
)
def test_the_key_to_draw_along(grid: dict[str, list[str]], key: str | None) -> None:
    assert swept_key(_rows(**grid), list(grid)) == key


def test_a_key_that_a_job_lacks_is_no_axis() -> None:
    rows = [*_rows(lr=["1", "2"]), {**_rows(lr=["3"])[0], "lr": None}]
    assert swept_key(rows, ["lr"]) is None


@pytest.mark.parametrize(
    ("values", "scale", "ticks"),
    [
        (["1", "10", "100"], "log", ["1", "10", "100"]),
        (["0", "1", "100"], "symlog", ["0", "1", "100"]),
        (["0", "50"], "linear", ["0", "50"]),
        (["16", "32", "64"], "linear", ["16", "32", "64"]),
        (["-1", "1", "100"], "linear", ["-1", "", "100"]),
        (["1e-5", "1.1e-5", "1e-3"], "log", ["1e-05", "", "0.001"]),
    ],
)
def test_the_axis(values: list[str], scale: str, ticks: list[str], axes: list[Axes], tmp_path: Path) -> None:
    _drawn(_rows(key=values), tmp_path)
    assert axes[0].get_xscale() == scale
    assert _ticks(axes[0]) == ticks
    assert axes[0].get_xlabel() == ("key" if scale == "linear" else f"key ({scale} axis)")
    low, high = axes[0].get_xlim()
    assert low < min(map(float, values)) < max(map(float, values)) < high


def test_single_runs_with_their_intervals(axes: list[Axes], tmp_path: Path) -> None:
    figures = _drawn(_rows(key=["1", "2"]), tmp_path / "plots")
    assert [figure.path.name for figure in figures] == ["age_rmse.png", "gender_f1.png", "harmonic_mean.png"]
    for figure in figures:
        Image.open(figure.path).verify()
    assert "2 of 2 jobs. Bars: 95 % intervals, by bootstrap" in figures[0].caption
    assert [("constant" in figure.caption) for figure in figures] == [True, False, True]
    assert [axis.get_ylabel() for axis in axes] == [
        "test age RMSE (years)", "test gender macro F1", "test harmonic mean",
    ]  # fmt: skip
    assert axes[2].get_ylim()[1] <= 1.02


def test_seeds_are_means(axes: list[Axes], tmp_path: Path) -> None:
    rows = _rows(key=["1", "2"], seed=["0", "1", "2"])
    rows[5]["status"] = "failed"
    caption = _drawn(rows, tmp_path)[0].caption
    assert "5 of 6 jobs. Points: means over seeds (n = 2 to 3 a point)" in caption
    assert "t-intervals over the seeds" in caption
    assert "bootstrap" not in caption
    singles = [line for line in axes[0].lines if line.get_alpha() == 0.45]
    assert [np.size(line.get_ydata()) for line in singles] == [3, 2]


def test_bars_of_two_seeds_do_not_flatten_the_picture(axes: list[Axes], tmp_path: Path) -> None:
    rows = _rows(key=["1", "2"], seed=["0", "1"])
    for row, value in zip(rows, (0.4, 0.9, 0.5, 0.6), strict=True):
        row["test_gender_f1"] = value
    assert "cut" in _drawn(rows, tmp_path)[1].caption
    assert axes[1].get_ylim()[1] <= 1.02


def test_a_line_each_other_setting(axes: list[Axes], tmp_path: Path) -> None:
    _drawn(_rows(model=["a", "b"], key=["1", "2"]), tmp_path)
    handles, labels = axes[0].get_legend_handles_labels()
    assert sorted(labels) == ["a", "b", "constant predictor"]
    assert len(handles) == 3


def test_nothing_is_done_yet(tmp_path: Path) -> None:
    rows = [{**row, "status": "missing"} for row in _rows(key=["1", "2"])]
    assert _drawn(rows, tmp_path / "plots") == []
    assert not (tmp_path / "plots").exists()
