"""The leaderboard of jobs made by hand: order, means, intervals, cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from agegender.report.jobs import JobPlace, Jobs, faces_per_second, read_jobs
from agegender.report.leaderboard import leaderboard, ranked, relative_cost

from ..made import figures, make_run


def _jobs(folder: Path, *made: tuple[dict[str, str], float, float, float]) -> Jobs:
    """Jobs from (settings, RMSE, F1, faces a second)."""
    places = []
    for i, (settings, rmse, f1, speed) in enumerate(made):
        path = make_run(folder / str(i), figures(rmse, f1), speeds=[speed])
        places.append(JobPlace(i, path, str(i), settings))
    return read_jobs(places)


def test_settings_are_ranked_by_their_mean(tmp_path: Path) -> None:
    made = [
        ({"balancer": name, "seed": seed}, 10.0, f1, 100.0)
        for name, f1s in (("fixed", (0.7, 0.8)), ("pcgrad", (0.6, 0.95)), ("mgda", (0.9, 0.5)))
        for seed, f1 in zip("01", f1s, strict=True)
    ]
    settings = ranked(_jobs(tmp_path, *made))
    assert [each.name for each in settings] == ["pcgrad", "fixed", "mgda"]
    assert [each.rank for each in settings] == [1, 2, 3]
    assert settings[1].figures["gender_f1"].mean == pytest.approx(0.75)
    assert settings[1].figures["gender_f1"].n == 2


def test_a_setting_without_figures_is_last(tmp_path: Path) -> None:
    places = [
        JobPlace(0, make_run(tmp_path / "0", status="failed"), "0", {"lr": "1"}),
        JobPlace(1, make_run(tmp_path / "1", figures(30, 0.0001)), "1", {"lr": "2"}),
        JobPlace(2, tmp_path / "2", "2", {"lr": "3"}),
    ]
    jobs = read_jobs(places)
    assert [each.name for each in ranked(jobs)] == ["2", "1", "3"]
    assert [row[2:] for row in leaderboard(jobs, ranked(jobs)).rows[1:]] == [["–"] * 6, ["–"] * 6]


def test_intervals_are_over_seeds_where_there_are_several(tmp_path: Path) -> None:
    made = [({"model": "a", "seed": seed}, rmse, 0.8, 0.0) for seed, rmse in (("0", 8.0), ("1", 10.0))]
    jobs = _jobs(tmp_path, *made, ({"model": "b", "seed": "0"}, 12.0, 0.8, 0.0))
    table = leaderboard(jobs, ranked(jobs))
    assert table.headers[:4] == ["", "model", "seeds", "age RMSE (years)"]
    assert table.rows[0][:4] == ["1", "a", "2 of 2", "9.00 (-3.71 to 21.71)"]
    assert table.rows[1][:4] == ["2", "b", "1 of 1", "12.00 (11.70–12.30)*"]
    assert "95 % t-intervals" in table.caption
    assert "* one job: 95 % intervals over the faces" in table.caption


def test_without_seeds_intervals_are_over_faces(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path, ({"model": "a"}, 8.0, 0.8, 0.0), ({"model": "b"}, 12.0, 0.8, 0.0))
    table = leaderboard(jobs, ranked(jobs))
    assert table.headers[:3] == ["", "model", "age RMSE (years)"]
    assert table.rows[0][:3] == ["1", "a", "8.00 (7.70–8.30)"]
    assert "by bootstrap" in table.caption
    assert "t-interval" not in table.caption
    assert "*" not in "".join(table.rows[0])


def test_of_a_head_that_nobody_trained_nothing_is_said(tmp_path: Path) -> None:
    names = ("age_only", "gender_only", "fixed")
    jobs = _jobs(tmp_path, *(({"balancer": name}, 9.0, 0.8, 0.0) for name in names))
    rows = {row[1]: row for row in leaderboard(jobs, ranked(jobs)).rows}
    assert [value == "–" for value in rows["age_only"][2:6]] == [False, False, True, True]
    assert [value == "–" for value in rows["gender_only"][2:6]] == [True, True, False, True]
    assert rows["fixed"][0] == "1"


def test_cost_is_told_against_fixed(tmp_path: Path) -> None:
    made = [
        ({"balancer": name, "seed": seed}, 9.0, 0.8, speed)
        for name, speeds in (
            ("pcgrad", (50.0, 40.0, 10.0)),
            ("fixed", (100.0, 80.0, 90.0)),
            ("dwa", (120.0,)),
        )
        for seed, speed in zip("012", speeds, strict=False)
    ]
    settings = ranked(_jobs(tmp_path, *made))
    costs, unit = relative_cost(settings)
    assert unit == "fixed"
    by_name = {each.balancer: costs[each.rank] for each in settings}
    assert by_name == pytest.approx({"pcgrad": 90 / 40, "fixed": 1, "dwa": 90 / 120})


def test_cost_without_fixed_is_told_against_the_fastest(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path, ({"model": "a"}, 8.0, 0.8, 50.0), ({"model": "b"}, 9.0, 0.8, 100.0))
    costs, unit = relative_cost(ranked(jobs))
    assert unit == "fastest"
    assert costs == pytest.approx({1: 2, 2: 1})
    assert leaderboard(jobs, ranked(jobs)).headers[-2:] == ["faces/s", "cost (× fastest)"]


def test_no_speed_is_known(tmp_path: Path) -> None:
    jobs = read_jobs([JobPlace(0, make_run(tmp_path / "0", figures(9, 0.8)), "0", {"lr": "1"})])
    assert relative_cost(ranked(jobs))[0] == {}


HEADER = "phase,images_per_second\n"


@pytest.mark.parametrize(
    ("history", "speed"),
    [
        (HEADER + "a,100\na,100\na,1\n", 100),
        (HEADER + "heads,400\nall,100\n", 2 / (1 / 400 + 1 / 100)),
        (HEADER, None),
        (HEADER + "a,0\n", None),
        (HEADER + "a,fast\n", None),
        ("hello\n1\n", None),
        ("", None),
    ],
)
def test_the_speed_of_a_run(history: str, speed: float | None, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(history)
    found = faces_per_second(tmp_path)
    assert found == (speed if speed is None else pytest.approx(speed))
    assert faces_per_second(tmp_path / "nowhere") is None
