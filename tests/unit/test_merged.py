"""Several sweeps on one page: settings from the runs' own configurations, each job once, one split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agegender.core.errors import UserError
from agegender.report.merged import read_merged, write_merged
from agegender.report.runs import differing_settings

from ..made import figures, make_run, make_sweep


def _config(balancer: str = "fixed", weight: float = 1.0, seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"seed": seed, "loss": {"lambda": weight}, "balancer": {"name": balancer}, **more}


def _sweep(path: Path, *configs: dict[str, Any], split: str = "aa11") -> Path:
    """A sweep whose jobs did what these settings say."""
    make_sweep(path, [[f"job={i}"] for i in range(len(configs))])
    for i, config in enumerate(configs):
        make_run(path / str(i), figures(9 + i / 10, 0.8 - i / 50), config, split_sha256=split)
    return path


def _table(*paths: Path, folder: Path) -> pd.DataFrame:
    folder.mkdir()
    return write_merged(read_merged(paths), folder).table()


def test_a_page_over_all_jobs(tmp_path: Path) -> None:
    a = _sweep(tmp_path / "a", _config(weight=1.0), _config(weight=10.0))
    b = _sweep(tmp_path / "b", _config("pcgrad"), _config("pcgrad", seed=1))
    alone = make_run(tmp_path / "c" / "run", figures(8, 0.9), _config("mgda"))
    table = _table(a, b, alone, folder=tmp_path / "all")
    assert table["job"].tolist() == ["a/0", "a/1", "b/0", "b/1", "c/run"]
    assert table["balancer"].tolist() == ["fixed", "fixed", "pcgrad", "pcgrad", "mgda"]
    assert table["loss.lambda"].tolist() == ["1", "10", "1", "1", "1"]
    assert table["seed"].tolist() == ["0", "0", "0", "1", "0"]
    assert table["dir"].tolist() == ["../a/0", "../a/1", "../b/0", "../b/1", "../c/run"]
    text = (tmp_path / "all" / "sweep.md").read_text(encoding="utf-8")
    assert "[job b/1](../b/1/report.html)" in text
    assert "| 1 | 1 | mgda | 1 of 1 |" in text
    assert "Pareto front" in text
    assert "left out" not in text.split("Merged from")[1]
    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert names == {"sweep.csv", "sweep.md", "sweep.html", "plots"}


def test_a_job_that_another_one_repeats_counts_once(tmp_path: Path) -> None:
    a = _sweep(tmp_path / "a", _config(), _config(seed=1))
    b = _sweep(tmp_path / "b", _config(data={"root": "elsewhere"}), _config("pcgrad"))
    (a / "0" / "status.json").unlink()
    table = _table(a, b, a / "1", folder=tmp_path / "all")
    assert table["job"].tolist() == ["b/0", "a/1", "b/1"]  # the one that is ok
    text = (tmp_path / "all" / "sweep.md").read_text(encoding="utf-8")
    assert "the same settings, seed included: 1." in text


def test_a_job_that_has_not_begun_is_left_out(tmp_path: Path) -> None:
    a, b = _sweep(tmp_path / "a", _config()), _sweep(tmp_path / "b", _config("pcgrad"))
    make_sweep(b, [["job=0"], ["job=1"]])
    assert len(_table(a, b, folder=tmp_path / "all")) == 2
    assert "as they have not begun: 1." in (tmp_path / "all" / "sweep.md").read_text(encoding="utf-8")


def test_folds_of_one_split_merge(tmp_path: Path) -> None:
    splits = [("s0", 0), ("s1", 1)]
    sweeps = []
    for name in ("fixed", "pcgrad"):
        sweep = make_sweep(tmp_path / name, [["job=0"], ["job=1"]])
        for split, fold in splits:
            config = _config(name, split={"name": "dedup5", "fold": fold})
            make_run(sweep / str(fold), figures(9, 0.8), config, split_sha256=split)
        sweeps.append(sweep)
    _table(*sweeps, folder=tmp_path / "all")
    assert "| folds |" in (tmp_path / "all" / "sweep.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("config", "split", "message"),
    [
        (_config(seed=1), "bb22", "one split can be compared; its sha256 is aa11 in .*a/0, bb22 in .*b/0"),
        (_config(split={"fold": 0}), "bb22", "aa11 in .*a/0, bb22 in .*b/0"),
        (_config(evaluation={"rmse_cap": 20.0}), "aa11", "rmse_cap is 30 in .*a/0, 20 in .*b/0"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    config: dict[str, Any], split: str, message: str, tmp_path: Path
) -> None:
    a, b = _sweep(tmp_path / "a", _config()), _sweep(tmp_path / "b", config, split=split)
    with pytest.raises(UserError, match=message):
        read_merged([a, b])


def test_predictions_of_an_unknown_split_are_refused(tmp_path: Path) -> None:
    a = _sweep(tmp_path / "a", _config())
    (a / "0" / "dataset.json").unlink()
    (a / "0" / "predictions.csv").touch()
    with pytest.raises(UserError, match="no split_sha256"):
        read_merged([a])


def test_nothing_has_begun(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has begun"):
        read_merged([make_sweep(tmp_path / "a", [["seed=1"]])])


@pytest.mark.parametrize(
    ("configs", "settings"),
    [
        ([_config(), _config()], [{}, {}]),
        ([_config(weight=1e-5), _config(weight=50.0)], [{"loss.lambda": "1e-05"}, {"loss.lambda": "50"}]),
        ([{"a": None}, {"a": True}, {"a": [1, 2]}], [{"a": "null"}, {"a": "true"}, {"a": "[1, 2]"}]),
        ([{"a": 1}, {"a": True}], [{"a": "1"}, {"a": "true"}]),
        ([{"a": 1}, {}], [{"a": "1"}, {}]),
        ([{"data": {"root": "x"}}, {"data": {"root": "y"}}], [{}, {}]),
    ],
)
def test_settings_that_differ(configs: list[dict[str, Any]], settings: list[dict[str, str]]) -> None:
    assert differing_settings(configs) == settings


def test_what_an_option_decides_is_no_setting_of_its_own() -> None:
    cagrad = {"balancer": {"name": "cagrad", "c": 0.5}}
    assert differing_settings([_config(), cagrad | {"seed": 0, "loss": {"lambda": 1.0}}]) == [
        {"balancer": "fixed"},
        {"balancer": "cagrad"},
    ]
    other = {"balancer": {"name": "cagrad", "c": 0.1}}
    found = differing_settings([{"balancer": {"name": "fixed"}}, cagrad, other])
    assert found[1:] == [{"balancer": "cagrad", "balancer.c": c} for c in ("0.5", "0.1")]
