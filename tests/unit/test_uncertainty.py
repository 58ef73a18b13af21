"""Calibration and figures of uncertainty as a run has them: files, fallbacks, bad input, and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import log_loss

from agegender.config.options import UncertaintyOptions
from agegender.core.errors import UserError
from agegender.core.files import read_json, write_yaml
from agegender.evaluation.calibration import CALIBRATION, LEVELS, Calibration
from agegender.evaluation.metrics import metrics
from agegender.evaluation.posterior import Posterior, read_posterior, write_posterior
from agegender.evaluation.table import read_predictions, write_predictions
from agegender.evaluation.uncertainty import Evidence, uncertainty_curves, uncertainty_metrics
from agegender.report.run import write_report

from ..made import make_run, predictions


def _options(**changes: Any) -> UncertaintyOptions:
    plain: dict[str, Any] = {"name": "none", "intervals": "plain", "score": "auto", "level": 0.9}
    return UncertaintyOptions(**(plain | changes))


def _faces(n: int = 400, seed: int = 1, part: str = "test") -> pd.DataFrame:
    """Normal errors of which age_std knows the size; a gender that is said twice too surely."""
    draw = np.random.default_rng(seed)
    std = draw.uniform(2, 12, n)
    age = draw.uniform(15, 75, n)
    logit = draw.normal(0, 2, n)
    is_female = draw.random(n) < 1 / (1 + np.exp(-logit))
    prob = 1 / (1 + np.exp(-2 * logit))
    columns: dict[str, Any] = {
        "id": [f"{part}{i}" for i in range(n)],
        "split": part,
        "age": age,
        "age_pred": age + std * draw.normal(size=n),
        "age_std": std,
        "group": draw.choice(["a", "b"], n),
        "gender": np.where(is_female, "female", "male"),
        "gender_prob": prob,
        "gender_pred": np.where(prob >= 0.5, "female", "male"),
    }
    return predictions(n).assign(**columns)


def _fit(cal: pd.DataFrame, **changes: Any) -> Calibration:
    calibration = Calibration.fit(cal, _options(**changes))
    assert calibration is not None
    return calibration


@pytest.mark.parametrize("intervals", ["plain", "predicted_age", "group", None])
def test_a_calibration_comes_back_from_its_file(intervals: str | None, tmp_path: Path) -> None:
    calibration = _fit(_faces(part="cal"), intervals=intervals)
    calibration.write(tmp_path)
    again = Calibration.read(tmp_path)
    assert again == calibration
    new = _faces(50, seed=9)
    pd.testing.assert_frame_equal(again.apply(new), calibration.apply(new))
    assert calibration.apply(new)["age_low"].isna().all() == (intervals is None)
    assert new["age_low"].isna().all()  # the table that was given is not changed
    assert Calibration.read(tmp_path / "elsewhere") is None


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    _fit(_faces(part="cal"), intervals="group", level=0.85).write(tmp_path)
    content = read_json(tmp_path / CALIBRATION)
    assert content["n_age"] == content["n_gender"] == 400
    assert content["ages"]["score"] == "scaled"
    assert set(content["ages"]["strata"]) == {"a", "b"}
    assert list(content["ages"]["pooled"]["by_level"]) == ["0.5", "0.8", "0.85", "0.9", "0.95"]
    assert content["temperature"] == pytest.approx(2, rel=0.3)
    assert content["notes"] == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "{",
        lambda _: "[]",
        lambda content: json.dumps(content | {"temperature": -1.0}),
        lambda content: json.dumps(content | {"more": 1}),
        lambda content: json.dumps(content | {"level": 0.7}),
        lambda content: json.dumps(content).replace('"n_age": 400', '"n_age": "many"'),
        lambda content: json.dumps(content).replace('"scaled"', '"scalded"'),
        lambda content: json.dumps(content).replace('"0.95"', '"0.94"'),
    ],
)
def test_a_damaged_file_is_named(damage: Any, tmp_path: Path) -> None:
    _fit(_faces(part="cal")).write(tmp_path)
    path = tmp_path / CALIBRATION
    path.write_text(damage(read_json(path)), encoding="utf-8")
    with pytest.raises(UserError, match=r"calibration\.json is damaged"):
        Calibration.read(tmp_path)


def test_what_the_cal_part_cannot_give_is_said() -> None:
    cal = _faces(part="cal")
    assert Calibration.fit(cal[:0], _options()) is None
    ageless = _fit(cal.assign(age=np.nan))
    assert ageless.ages is None
    assert ageless.temperature is not None
    assert "no cal face has an age" in ageless.notes[0]
    one_gender = _fit(cal.assign(gender="male"))
    assert one_gender.temperature is None
    assert "both genders" in one_gender.notes[0]
    assert one_gender.apply(cal)["gender_prob_calibrated"].isna().all()
    small = _fit(cal[:12])
    assert [note for note in small.notes if "level 0.95: 12 cal faces are too few" in note]
    assert small.apply(cal)["age_low"].notna().all()
    no_groups = _fit(cal.assign(group=None), intervals="group")
    assert "No cal face has a group" in no_groups.notes[0]
    many = _fit(cal.assign(group=[f"g{i // 2:03d}" for i in range(400)]), intervals="group")
    assert "g000 (2), " in many.notes[0]
    assert "and 190 more" in many.notes[0]


def test_errors_are_scaled_where_every_cal_face_has_a_standard_deviation() -> None:
    cal = _faces(part="cal")
    partly = cal.assign(age_std=cal["age_std"].where(cal.index > 2))
    found = {name: _fit(table).ages for name, table in (("all", cal), ("partly", partly))}
    assert {name: ages.score for name, ages in found.items() if ages} == {
        "all": "scaled",
        "partly": "absolute",
    }
    chosen = _fit(cal, score="absolute").ages
    assert chosen is not None
    assert chosen.score == "absolute"
    refused = _fit(partly, score="scaled")
    assert refused.ages is None
    assert "age_std, which 3 of 400 cal faces lack" in refused.notes[0]


def test_figures_are_those_of_their_definitions() -> None:
    calibration = _fit(_faces(part="cal"))
    table = calibration.apply(_faces(seed=2))
    figures = uncertainty_metrics(table, Evidence(calibration, None, 0.9), bootstrap=50)
    hit = (table["age"] >= table["age_low"]) & (table["age"] <= table["age_high"])
    assert figures["age_coverage_90"] == pytest.approx(hit.mean())
    assert figures["age_width_90"] == pytest.approx((table["age_high"] - table["age_low"]).mean())
    density = norm.logpdf(table["age"], table["age_pred"], table["age_std"])
    assert figures["age_nll"] == pytest.approx(-density.mean(), abs=0.02)
    for suffix in ("", "_calibrated"):
        expected = log_loss(table["gender"] == "female", table[f"gender_prob{suffix}"])
        assert figures[f"gender_nll{suffix}"] == pytest.approx(expected)
    for name in ("gender_ece", "gender_nll"):
        before, after = figures[name], figures[f"{name}_calibrated"]
        assert before is not None
        assert after is not None
        assert after < before
    points = [name for name in figures if not name.endswith(("_low", "_high"))]
    assert len(points) == 2 * len(LEVELS) + 2 + 4 + 4
    assert len(figures) == 3 * len(points)
    for name in points:
        low, value, high = (figures[f"{name}{end}"] for end in ("_low", "", "_high"))
        assert low is not None
        assert high is not None
        assert low < high, name
        if not name.startswith("gender_ece"):  # its interval leaves out what chance adds
            assert value is not None
            assert low < value < high, name
    assert "nan" not in json.dumps(figures, allow_nan=False)
    assert figures == uncertainty_metrics(table, Evidence(calibration, None, 0.9), bootstrap=50)


def test_the_table_s_own_intervals_count_at_their_level() -> None:
    """Another program's: their coverage is told at the level that they are said to have, and at no other."""
    table = _faces().assign(age_low=10.0, age_high=50.0)
    expected = (table["age"] <= 50).mean()
    figures = uncertainty_metrics(table, Evidence(level=0.8), bootstrap=0)
    assert [name for name in figures if "coverage" in name] == ["age_coverage_80"]
    assert figures["age_coverage_80"] == pytest.approx(expected)
    assert figures["age_width_80"] == 40
    assert not [name for name in uncertainty_metrics(table, Evidence(), bootstrap=0) if "width" in name]


def test_labels_that_are_intervals_have_two_coverages() -> None:
    calibration = _fit(_faces(part="cal"))
    table = _faces()
    table = table.assign(age_min=np.floor(table["age"] / 10) * 10, age=np.nan)
    table = calibration.apply(table.assign(age_max=table["age_min"] + 9))
    figures = uncertainty_metrics(table, Evidence(calibration, None, 0.9), bootstrap=0)
    meets = (table["age_low"] <= table["age_max"]) & (table["age_high"] >= table["age_min"])
    holds = (table["age_low"] <= table["age_min"]) & (table["age_high"] >= table["age_max"])
    assert figures["age_coverage_90"] == pytest.approx(meets.mean())
    assert figures["age_coverage_90_whole"] == pytest.approx(holds.mean())


@pytest.mark.parametrize(
    "changes",
    [
        {"age": np.nan},
        {"gender": None},
        {"age": np.nan, "gender": None},
        {"age_std": 0.0},
        {"age_std": np.nan},
        {"gender": "male"},
        {"gender_prob": 1.0, "gender_pred": "female"},
    ],
)
@pytest.mark.parametrize("n", [1, 40])
def test_what_is_missing_costs_only_its_own_figures(changes: dict[str, Any], n: int) -> None:
    calibration = _fit(_faces(part="cal"), intervals="predicted_age")
    table = calibration.apply(_faces(n).assign(**changes))
    evidence = Evidence(calibration, None, 0.9)
    figures = uncertainty_metrics(table, evidence, bootstrap=20)
    json.dumps([figures, uncertainty_curves(table, evidence, bootstrap=20)], allow_nan=False)
    has_age, has_gender = table["age"].notna().any(), table["gender"].notna().any()
    has_std = bool((table["age_std"] > 0).any())
    assert ("gender_ece" in figures) == has_gender
    assert (figures.get("age_nll") is not None) == (has_age and has_std)
    assert (figures.get("age_coverage_90") is not None) == (has_age and table["age_low"].notna().all())


def test_some_faces_without_a_standard_deviation() -> None:
    calibration = _fit(_faces(part="cal"))
    table = _faces()
    table.loc[:9, "age_std"] = np.nan
    table = calibration.apply(table)
    assert table["age_low"].isna().sum() == 10
    evidence = Evidence(calibration, None, 0.9)
    rest = uncertainty_metrics(table[10:], evidence, bootstrap=0)
    figures = uncertainty_metrics(table, evidence, bootstrap=0)
    for name in ("age_coverage_90", "age_nll", "age_crps"):
        assert figures[name] == pytest.approx(rest[name])
    assert "age_aurc" not in figures


def test_one_width_for_all_sorts_no_faces(tmp_path: Path) -> None:
    """Neither what is cut off at 0 years nor what a file rounds off is a degree of sureness."""
    cal, table = (_faces(seed=seed).assign(age_std=np.nan) for seed in (1, 2))
    table["age_pred"] = (table["age_pred"] - 15).clip(lower=0)
    for intervals, sorts in (("plain", False), ("predicted_age", True)):
        calibration = _fit(cal, intervals=intervals)
        write_predictions(calibration.apply(table), tmp_path / "predictions.csv")
        read = read_predictions(tmp_path / "predictions.csv")
        assert (read["age_low"] == 0).any()
        figures = uncertainty_metrics(read, Evidence(calibration, None, 0.9), bootstrap=0)
        assert ("age_aurc" in figures) == sorts


def test_the_posterior_counts_before_the_standard_deviation(tmp_path: Path) -> None:
    table, ages = _faces(60).assign(age=lambda table: table["age"].round()), np.arange(0, 101)
    masses = np.zeros((60, 101), np.float32)
    masses[np.arange(60), table["age"].astype(int)] = 1
    write_posterior(table["id"].tolist(), Posterior(ages, masses), tmp_path / "posterior.npz")
    evidence = Evidence.read(tmp_path, table, level=None)
    part = table[table.index % 3 == 1]  # a part's rows are found by the index
    assert uncertainty_metrics(part, evidence, bootstrap=0)["age_crps"] == 0
    assert uncertainty_metrics(part, Evidence(), bootstrap=0)["age_crps"] > 1  # type: ignore[operator]


def test_a_bad_posterior_is_named(tmp_path: Path) -> None:
    path = tmp_path / "posterior.npz"
    ages, masses = np.arange(3), np.full((2, 3), 1 / 3, np.float32)
    assert read_posterior(["a", "b"], path) is None
    write_posterior(["a", "b"], Posterior(ages, masses), path)
    assert read_posterior(["a", "b"], path) is not None
    with pytest.raises(UserError, match="holds other faces"):
        read_posterior(["b", "a"], path)
    write_posterior(["a", "b"], Posterior(ages[:2], masses), path)
    with pytest.raises(UserError, match="is not of its faces and ages"):
        read_posterior(["a", "b"], path)
    for content in (b"", b"PK not a zip", path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is damaged"):
            read_posterior(["a", "b"], path)


def test_half_of_the_ages_lie_below_the_median_that_was_predicted() -> None:
    curves = uncertainty_curves(_faces(4000), Evidence(), bootstrap=20)
    for row in curves["age_calibration"]:
        assert row["share"] == pytest.approx(row["quantile"], abs=0.03)
    squeezed = uncertainty_curves(_faces(4000).assign(age_std=1.0), Evidence(), bootstrap=0)
    shares = {row["quantile"]: row["share"] for row in squeezed["age_calibration"]}
    assert shares[0.05] > 0.3
    assert shares[0.95] < 0.7


def _run(path: Path, calibration: Calibration | None, table: pd.DataFrame) -> str:
    make_run(path)
    (path / "dataset.json").unlink()
    write_yaml(path / "config.yaml", {"evaluation": {"bootstrap": 30}})
    if calibration is not None:
        calibration.write(path)
        table = calibration.apply(table)
    write_predictions(table, path / "predictions.csv")
    write_report(path)
    return (path / "report.md").read_text(encoding="utf-8")


def test_the_report_of_a_calibrated_run(tmp_path: Path) -> None:
    cal = _faces(part="cal")
    old = _faces(60, seed=5).assign(age=95.0, age_pred=40.0, age_std=3.0)
    old["id"] += " old"
    table = pd.concat([cal, _faces(), old], ignore_index=True)
    text = _run(tmp_path / "run", _fit(cal), table)
    assert "conformal intervals of errors in units of age\\_std, the same for all, from 400 cal" in text
    assert "neither for other photographs and people" in text
    assert "| 90 % | " in text
    assert "| gender: the same, calibrated | " in text
    assert "| age 70+ |" in text
    assert "**Warning:** Less is covered than the level says: age 70+ (" in text
    for name in ("age_uncertainty.png", "gender_uncertainty.png"):
        assert f"(plots/{name})" in text
    figures = read_json(tmp_path / "run" / "metrics.json")["test"]
    assert figures["age_coverage_90"] is not None
    assert (
        figures["age_rmse"]
        == metrics(read_predictions(tmp_path / "run" / "predictions.csv")[400:], bootstrap=0)["age_rmse"]
    )
    curves = read_json(tmp_path / "run" / "uncertainty.json")
    assert set(curves) == {
        "n", "gender_reliability", "age_calibration", "risk_coverage", "level", "coverage_by",
    }  # fmt: skip
    assert set(curves["gender_reliability"]) == {"network", "calibrated"}


def test_the_report_of_what_could_not_be_calibrated(tmp_path: Path) -> None:
    text = _run(tmp_path / "none", None, _faces(40).assign(age_std=np.nan))
    assert "Nothing is calibrated: there is no calibration.json" in text
    assert not (tmp_path / "none" / "plots" / "age_uncertainty.png").exists()
    cal = _faces(12, part="cal").assign(gender="male")
    table = pd.concat([cal, _faces(40).assign(gender=None)], ignore_index=True)
    text = _run(tmp_path / "few", _fit(cal, level=0.95), table)
    assert "**Warning:** No interval of level 0.95: 12 cal faces are too few to promise it." in text
    assert "**Warning:** No temperature" in text
    assert "| 80 % | " in text
    assert "| 95 % | " not in text
    assert not (tmp_path / "few" / "plots" / "gender_uncertainty.png").exists()


def test_of_a_few_faces_no_curve_is_drawn(tmp_path: Path) -> None:
    text = _run(tmp_path / "run", None, _faces(29))
    assert "Of less than 30 faces no curve is drawn." in text
    assert not list((tmp_path / "run" / "plots").glob("*uncertainty*"))


def test_a_part_with_neither_label_has_no_picture(tmp_path: Path) -> None:
    cal = _faces(100, part="cal")
    table = pd.concat([cal, _faces(40).assign(gender=None, age=np.nan)], ignore_index=True)
    _run(tmp_path / "run", _fit(cal), table)
    assert not list((tmp_path / "run" / "plots").glob("*uncertainty*"))
