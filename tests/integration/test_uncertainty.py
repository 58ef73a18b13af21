"""Passes and ensembles from training to a report, and what agegender-evaluate judges."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agegender.config.entry import run_entry
from agegender.core.files import cache_dir, read_json, read_yaml
from agegender.evaluation.table import COLUMNS, SEVERAL, read_predictions

from .conftest import ENTRIES, TINY, Call

KIND = ("model=scratch_cnn_v2", "age_head=dldl", "age_head.decode=median", "uncertainty=mc_dropout")
DROPPED = (*TINY, "data.n=120", *KIND, "uncertainty.passes=3", "uncertainty.level=0.5")
"""A run of 6 cal faces: enough for an interval of level 0.5."""
QUICK = "evaluation.bootstrap=20"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of one setting on one split; tests must not write into them."""
    folder = tmp_path_factory.mktemp("dropped")
    for seed in (0, 1):
        assert run_entry(ENTRIES["train"], [*DROPPED, f"seed={seed}", f"hydra.run.dir={folder}/{seed}"]) == 0
    return [folder / "0", folder / "1"]


def test_training_predicts_with_its_passes(runs: list[Path]) -> None:
    table = read_predictions(runs[0] / "predictions.csv")
    assert list(table.columns) == [*COLUMNS, *SEVERAL]
    assert (table["age_std_epistemic"] > 0).all()
    assert (table["gender_mutual_information"] >= 0).all()
    total = np.hypot(table["age_std_aleatoric"], table["age_std_epistemic"])
    np.testing.assert_allclose(total, table["age_std"], rtol=1e-6)
    assert (table["age_low"] < table["age_pred"]).all()
    with np.load(runs[0] / "posterior.npz") as file:
        masses_NA, ages_A = file["posterior"].astype(np.float64), file["ages"]
    mean_N = masses_NA @ ages_A
    variance_N = (masses_NA * (ages_A - mean_N[:, None]) ** 2).sum(1)
    np.testing.assert_allclose(variance_N, table["age_std"] ** 2, rtol=1e-4)
    assert table["age_pred"].tolist() == ages_A[(masses_NA.cumsum(1) < 0.5).sum(1)].tolist()


def test_a_run_on_its_own_faces_says_the_same_again(runs: list[Path], call: Call, workdir: Path) -> None:
    done = call("evaluate", f"run={runs[0]}", QUICK, "hydra.run.dir=again")
    assert done.code == 0, done.err
    before, now = (read_predictions(path / "predictions.csv") for path in (runs[0], workdir / "again"))
    pd.testing.assert_frame_equal(before, now, rtol=1e-4, atol=1e-4)
    report = (workdir / "again" / "report.md").read_text(encoding="utf-8")
    for words in ("uncertainty: mc_dropout", "model: scratch_cnn_v2", "predicted again", f"run: {runs[0]}"):
        assert words in report.replace("\\", "")
    assert (workdir / "again" / "explain.npz").exists()
    assert call("report", f"compare=[{runs[0]},again]").code == 0


def test_another_mode_is_calibrated_anew(runs: list[Path], call: Call, workdir: Path) -> None:
    mode = ("uncertainty=tta", "uncertainty.level=0.5")
    assert call("evaluate", f"run={runs[0]}", *mode, QUICK, "hydra.run.dir=own").code == 0
    other = ("data=synthetic", "data.n=20", "data.seed=5")
    done = call("evaluate", f"run={runs[0]}", *mode, *other, QUICK, "hydra.run.dir=other")
    assert done.code == 0, done.err
    assert "no calibration" not in done.out
    tables = [read_predictions(path / "predictions.csv") for path in (workdir / "own", workdir / "other")]
    own, elsewhere = (table["age_high"] - table["age_low"] for table in tables)
    np.testing.assert_allclose(elsewhere, own.iloc[0], rtol=1e-3)  # one width for all
    assert read_yaml(workdir / "own" / "config.yaml")["uncertainty"]["name"] == "tta"


def test_another_level_needs_no_other_answers(runs: list[Path], call: Call, workdir: Path) -> None:
    """The cal rows of the run's own table are enough: its files may be gone."""
    shutil.copytree(runs[0], workdir / "run")
    split = (workdir / "run" / "split.csv").read_text(encoding="utf-8")
    (workdir / "run" / "split.csv").write_text(split.replace(".png", ".gone"), encoding="utf-8")
    mode = ("uncertainty=mc_dropout", "uncertainty.passes=3", "uncertainty.level=0.8")
    other = ("data=synthetic", "data.n=20", "data.seed=5")
    done = call("evaluate", "run=run", *mode, *other, QUICK, "hydra.run.dir=judged")
    assert done.code == 0, done.err
    before, now = (read_json(path / "calibration.json") for path in (workdir / "run", workdir / "judged"))
    assert (before["level"], now["level"]) == (0.5, 0.8)
    assert now["n_age"] == before["n_age"]


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_own_faces_that_are_not_what_they_were(
    change: str, runs: list[Path], call: Call, workdir: Path
) -> None:
    shutil.copytree(runs[0], workdir / "run")
    for name in ("predictions.csv", "split.csv"):
        table = pd.read_csv(workdir / "run" / name, dtype=str)
        if change == "gone":
            table = table.assign(path=table["path"] + ".moved", id="other" + table["id"])
        elif name == "split.csv":
            table["sha256"] = "0" * 64
        table.to_csv(workdir / "run" / name, index=False)
    words = "are not there any more" if change == "gone" else "have changed"
    done = call("evaluate", "run=run", QUICK, "hydra.run.dir=own")
    assert done.code == 2
    assert words in done.err
    other = ("data=synthetic", "data.n=20", "data.seed=5", "uncertainty=tta")
    done = call("evaluate", "run=run", *other, QUICK, "hydra.run.dir=other")
    assert done.code == 0, done.err  # they are wanted for the calibration alone
    assert "no calibration for uncertainty=tta" in done.out
    assert words in done.out
    assert not (workdir / "other" / "calibration.json").exists()
    assert read_predictions(workdir / "other" / "predictions.csv")["age_low"].isna().all()


def test_drawn_faces_are_drawn_again(runs: list[Path], call: Call, workdir: Path) -> None:
    """The cache may be deleted at any time."""
    path = Path(read_predictions(runs[0] / "predictions.csv")["path"].iloc[0])
    assert path.is_relative_to(cache_dir())
    before = path.read_bytes()
    path.unlink()
    assert call("evaluate", f"run={runs[0]}", QUICK, "hydra.run.dir=own").code == 0
    assert path.read_bytes() == before
    assert (workdir / "own" / "metrics.json").exists()


def test_an_ensemble_of_tables_and_of_networks_agree(runs: list[Path], call: Call, workdir: Path) -> None:
    """The networks are asked about the very faces that the tables are of."""
    named = f"ensemble=[{runs[0]}, '{runs[1]}']"
    done = call("evaluate", named, QUICK, "hydra.run.dir=tables")
    assert done.code == 0, done.err
    table = read_predictions(workdir / "tables" / "predictions.csv")
    assert list(table.columns) == [*COLUMNS, *SEVERAL]
    members = [read_predictions(run / "predictions.csv").set_index("id").loc[table["id"]] for run in runs]
    female = np.mean([member["gender_prob"] for member in members], axis=0)
    np.testing.assert_allclose(table["gender_prob"], female, rtol=1e-6)
    within = np.mean([member["age_std_aleatoric"] ** 2 for member in members], axis=0)
    np.testing.assert_allclose(table["age_std_aleatoric"] ** 2, within, rtol=1e-6)
    scores = np.sort((np.abs(table["age_pred"] - table["age"]) / table["age_std"])[table["split"] == "cal"])
    half = table["age_high"] - table["age_pred"]
    quantile = scores[int(np.ceil((len(scores) + 1) * 0.5)) - 1]
    np.testing.assert_allclose(half, quantile * table["age_std"], rtol=1e-6)
    settings = read_yaml(workdir / "tables" / "config.yaml")
    assert (settings["age_head"]["decode"], settings["uncertainty"]["passes"]) == ("median", 3)
    assert "the mean of 2 runs" in (workdir / "tables" / "report.md").read_text(encoding="utf-8")

    test = table[table["split"] == "test"]
    test[["id", "path", "age", "gender"]].to_csv(workdir / "test.csv", index=False)
    data = ("data=csv", "data.csv=test.csv", "data.gender_codes={female:female,male:male}")
    done = call("evaluate", named, *data, QUICK, "hydra.run.dir=networks")
    assert done.code == 0, done.err
    asked = read_predictions(workdir / "networks" / "predictions.csv")
    for name in ("age_pred", "age_std", "age_low", "gender_prob", *SEVERAL):
        np.testing.assert_allclose(asked[name], test[name], rtol=1e-3, atol=1e-3, err_msg=name)
    done = call("evaluate", named, *data, "faces=unseen", QUICK, "hydra.run.dir=unseen")
    assert done.code == 0, done.err
    assert len(read_predictions(workdir / "unseen" / "predictions.csv")) == len(test)


@pytest.mark.usefixtures("workdir")
def test_runs_of_two_splits_are_no_ensemble(runs: list[Path], tiny_run: Path, call: Call) -> None:
    done = call("evaluate", f"ensemble=[{runs[0]},{tiny_run}]", "hydra.run.dir=judged")
    assert done.code == 2
    assert "are of two splits" in done.err
    assert str(runs[0]) in done.err
    assert str(tiny_run) in done.err


def test_runs_with_other_labels_are_no_ensemble(runs: list[Path], call: Call, workdir: Path) -> None:
    shutil.copytree(runs[1], workdir / "run")
    table = pd.read_csv(workdir / "run" / "predictions.csv")
    table["age"] += 1
    table.to_csv(workdir / "run" / "predictions.csv", index=False)
    done = call("evaluate", f"ensemble=[{runs[0]},run]", "hydra.run.dir=judged")
    assert done.code == 2
    assert "faces is labelled otherwise" in done.err
    assert str(runs[0]) in done.err
    assert str(workdir / "run") in done.err


@pytest.mark.parametrize("name", ["posterior.npz", "predictions.csv", "dataset.json", "config.yaml"])
@pytest.mark.parametrize("damage", [None, "[{bad"])
def test_a_damaged_member_is_named(
    name: str, damage: str | None, runs: list[Path], call: Call, workdir: Path
) -> None:
    shutil.copytree(runs[1], workdir / "run")
    if damage is None:
        (workdir / "run" / name).unlink()
    else:
        (workdir / "run" / name).write_text(damage)
    done = call("evaluate", f"ensemble=[{runs[0]},run]", QUICK, "hydra.run.dir=judged")
    if name == "posterior.npz" and damage is None:
        assert done.code == 0  # years are averaged all the same
        assert not (workdir / "judged" / "posterior.npz").exists()
        return
    assert done.code == 2, done.err
    assert str(workdir / "run") in done.err
    assert len(done.err.splitlines()) <= 2


def test_predict_answers_in_the_runs_own_way(runs: list[Path], call: Call, workdir: Path) -> None:
    trained = read_predictions(runs[0] / "predictions.csv")
    trained[["id", "path"]].to_csv(workdir / "list.csv", index=False)
    where = (f"run={runs[0]}", "input=list.csv")
    done = call("predict", *where, "output=own.csv")
    assert done.code == 0, done.err
    own = read_predictions(workdir / "own.csv")
    assert list(own.columns) == [*COLUMNS, *SEVERAL]
    for name in ("age_pred", "age_std", "age_low", "age_high", "gender_prob", *SEVERAL):
        np.testing.assert_allclose(own[name], trained[name], rtol=1e-3, atol=1e-3, err_msg=name)
    done = call("predict", *where, "output=plain.csv", "uncertainty=none")
    assert done.code == 0, done.err
    assert "no age_low and age_high" in done.err
    plain = read_predictions(workdir / "plain.csv")
    assert list(plain.columns) == list(COLUMNS)
    assert plain["age_low"].isna().all()


def test_predict_has_the_intervals_of_a_plain_run(tiny_run: Path, call: Call, workdir: Path) -> None:
    trained = read_predictions(tiny_run / "predictions.csv")
    trained[["id", "path"]].to_csv(workdir / "list.csv", index=False)
    where = (f"run={tiny_run}", "input=list.csv", "output=ages.csv", "uncertainty=none")
    done = call("predict", *where, "uncertainty.level=0.5")
    assert done.code == 0, done.err
    assert read_predictions(workdir / "ages.csv")["age_low"].notna().all()  # 4 cal faces promise half of all


def test_dropout_asked_of_a_run_that_has_none(tiny_run: Path, call: Call, workdir: Path) -> None:
    (workdir / "list.csv").write_text("path\na.png\n", encoding="utf-8")
    for entry, rest in (("predict", ["input=list.csv", "output=ages.csv"]), ("evaluate", ["data=synthetic"])):
        done = call(entry, f"run={tiny_run}", *rest, "uncertainty=mc_dropout")
        assert done.code == 2
        assert "the model has no dropout above 0" in done.err


def _theirs(folder: Path, count: int = 60, **changes: Any) -> Path:
    """A table of another program: only what it must have, and labels."""
    draw = np.random.default_rng(0)
    age, female = draw.integers(10, 80, count), draw.random(count) < 0.5
    table = pd.DataFrame(
        {
            "id": range(count),
            "split": ["val", "cal", "test"] * (count // 3),
            "age": age,
            "gender": np.where(female, "female", "male"),
            "age_pred": age + draw.normal(0, 5, count),
            "gender_pred": np.where(female, "female", "male"),
            "gender_prob": np.where(female, 0.8, 0.2),
        }
    )
    for name, value in changes.items():
        table[name] = value
    file = folder / "theirs, (new) [2].csv"
    table.dropna(axis=1, how="all").to_csv(file, index=False)
    return file


def test_a_table_of_another_program(call: Call, workdir: Path) -> None:
    file = _theirs(workdir)
    done = call("evaluate", f"predictions={file}", QUICK, "hydra.run.dir=judged")
    assert done.code == 0, done.err
    figures = read_json(workdir / "judged" / "metrics.json")
    assert figures["test"]["n"] == figures["val"]["n"] == 20
    assert figures["test"]["gender_f1"] == 1
    table = read_predictions(workdir / "judged" / "predictions.csv")
    cal = table[table["split"] == "cal"]
    errors = np.sort(np.abs(cal["age_pred"] - cal["age"]))
    np.testing.assert_allclose(table["age_high"] - table["age_pred"], errors[int(np.ceil(21 * 0.9)) - 1])
    report = (workdir / "judged" / "report.md").read_text(encoding="utf-8")
    assert "no network was asked" in report
    assert "split: column: as the table says" in report
    assert read_yaml(workdir / "judged" / "config.yaml")["predictions"] == str(file)
    done = call("evaluate", f"predictions={file}", "uncertainty=none", "uncertainty.level=0.5", QUICK)
    assert done.code == 0, done.err


def test_without_parts_all_are_test(call: Call, workdir: Path) -> None:
    file = _theirs(workdir, split=None, gender="female")
    done = call("evaluate", f"predictions={file}", QUICK, "hydra.run.dir=judged")
    assert done.code == 0, done.err  # one gender alone is no mistake
    assert "has no row of cal: nothing is calibrated" in done.out
    figures = read_json(workdir / "judged" / "metrics.json")
    assert (figures["val"], figures["test"]["n"]) == (None, 60)
    assert not (workdir / "judged" / "calibration.json").exists()
    report = (workdir / "judged" / "report.md").read_text(encoding="utf-8")
    assert "none: all faces are test" in report


def test_intervals_of_its_own_stay(call: Call, workdir: Path) -> None:
    file = _theirs(workdir, age_low=10.0, age_high=80.0)
    done = call("evaluate", f"predictions={file}", QUICK, "hydra.run.dir=judged")
    assert done.code == 0, done.err
    assert "are the file's own" in done.out
    table = read_predictions(workdir / "judged" / "predictions.csv")
    assert set(table["age_low"]) == {10}
    assert set(table["age_high"]) == {80}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data=synthetic"], ["predictions are judged as they are", "data="]),
        (["uncertainty=tta"], ["uncertainty=tta", "no network to ask", "uncertainty=none"]),
        (["faces=unseen"], ["faces=unseen", "data="]),
        (["run=."], ["exactly one of", "run and predictions"]),
    ],
)
def test_what_does_not_go_with_a_table(
    arguments: list[str], words: list[str], call: Call, workdir: Path
) -> None:
    done = call("evaluate", f"predictions={_theirs(workdir)}", *arguments)
    assert done.code == 2
    for word in words:
        assert word in done.err
    assert not (workdir / "outputs").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "same"}, "id is same in row 2, such rows: 59 of 60 (allowed: each once)"),
        ({"split": "train"}, "split is train in row 1"),
        ({"age": None, "gender": None}, "no row of val or test has a label"),
        ({"split": "cal"}, "no row of val or test has a label"),
        ({"age_pred": None}, "no column age_pred"),
    ],
)
def test_a_table_that_cannot_be_judged(
    changes: dict[str, Any], words: str, call: Call, workdir: Path
) -> None:
    done = call("evaluate", f"predictions={_theirs(workdir, **changes)}", "hydra.run.dir=judged")
    assert done.code == 2
    assert words in done.err
    assert "theirs, (new) [2].csv" in done.err
    assert len(done.err.splitlines()) == 1
