"""Predicting photographs and scoring labelled ones with a trained run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from agegender.core.files import read_json
from agegender.evaluation.table import COLUMNS

from .conftest import TINY, Call


@pytest.fixture
def photos(workdir: Path, tiny_run: Path) -> Path:
    """Six drawn faces under the ids that the tiny run gave them, and a file that is no image."""
    folder = workdir / "photos (new)"
    (folder / "sub").mkdir(parents=True)
    table = pd.read_csv(tiny_run / "predictions.csv")
    for i, row in table.head(6).iterrows():
        shutil.copy(row["path"], folder / ("sub" if i == 0 else "") / f"{row['id']}.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("ignored")
    return folder


def test_a_folder(tiny_run: Path, photos: Path, call: Call, workdir: Path) -> None:
    done = call("predict", f"run={tiny_run}", f"input={photos}", "output=ages.csv")
    assert done.code == 1, done.err
    table = pd.read_csv(workdir / "ages.csv")
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 6
    rejected = pd.read_csv(workdir / "ages.csv.rejected.csv")
    assert rejected["id"].tolist() == ["broken.jpg"]
    assert rejected["reason"].notna().all()
    # preprocessing comes from the checkpoint: the same faces get the same predictions
    trained = pd.read_csv(tiny_run / "predictions.csv").set_index("id")
    table["id"] = table["id"].map(lambda name: Path(name).stem)
    for _, row in table.iterrows():
        assert row["age_pred"] == pytest.approx(trained.loc[row["id"], "age_pred"], abs=1e-3)
        assert row["gender_prob"] == pytest.approx(trained.loc[row["id"], "gender_prob"], abs=1e-4)


def test_one_file(tiny_run: Path, photos: Path, call: Call, workdir: Path) -> None:
    (photos / "broken.jpg").unlink()
    file = next((photos / "sub").glob("*.png"))
    done = call("predict", f"run={tiny_run}", f"input={file}", "output=ages.csv")
    assert done.code == 0, done.err
    assert pd.read_csv(workdir / "ages.csv")["id"].tolist() == [file.name]
    assert not (workdir / "ages.csv.rejected.csv").exists()


def test_a_submission(tiny_run: Path, photos: Path, call: Call, workdir: Path) -> None:
    files = sorted(str(file.relative_to(photos)) for file in photos.rglob("*.png"))
    pd.DataFrame({"id": range(100, 106), "full_path": files}).to_csv(photos / "test.csv", index=False)
    arguments = (
        f"run={tiny_run}",
        f"input={photos / 'test.csv'}",
        "output=submission.csv",
        "format=submission",
    )
    assert call("predict", *arguments).code == 0
    submission = pd.read_csv(workdir / "submission.csv")
    assert list(submission.columns) == ["id", "gender", "age"]
    assert submission["id"].tolist() == list(range(100, 106))
    assert call("predict", *arguments[:2], "output=table.csv").code == 0
    table = pd.read_csv(workdir / "table.csv")
    assert submission["gender"].tolist() == [{"female": 0, "male": 1}[name] for name in table["gender_pred"]]
    assert np.allclose(submission["age"], table["age_pred"], atol=1e-4)


def test_a_submission_with_a_hole_is_refused(tiny_run: Path, photos: Path, call: Call, workdir: Path) -> None:
    table = pd.DataFrame({"id": [1, 2], "full_path": ["broken.jpg", "gone.jpg"]})
    table.to_csv(photos / "test.csv", index=False)
    done = call(
        "predict",
        f"run={tiny_run}",
        f"input={photos / 'test.csv'}",
        "output=submission.csv",
        "format=submission",
    )
    assert done.code == 1
    assert "2 of 2 cannot be predicted" in done.err
    assert not (workdir / "submission.csv").exists()
    assert len(pd.read_csv(workdir / "submission.csv.rejected.csv")) == 2


def test_evaluate_gives_the_test_figures_again(tiny_run: Path, call: Call, workdir: Path) -> None:
    split = pd.read_csv(tiny_run / "split.csv")
    labels = pd.read_csv(tiny_run / "predictions.csv").set_index("id")
    test = split[split["split"] == "test"]
    pd.DataFrame(
        {
            "path": test["path"],
            "age": labels.loc[test["id"], "age"].to_numpy(),
            "gender": labels.loc[test["id"], "gender"].to_numpy(),
        }
    ).to_csv(workdir / "test.csv", index=False)
    codes = "data.gender_codes={female:female,male:male}"
    done = call("evaluate", f"run={tiny_run}", "data=csv", "data.csv=test.csv", codes, "hydra.run.dir=judged")
    assert done.code == 0, done.err
    ours = read_json(workdir / "judged" / "metrics.json")
    theirs = read_json(tiny_run / "metrics.json")["test"]
    assert ours["val"] is None
    for name in (
        "n",
        "age_rmse",
        "gender_f1",
        "harmonic_mean",
        "age_coverage_50",
        "age_width_50",
        "gender_ece",
    ):
        assert ours["test"][name] == pytest.approx(theirs[name], rel=1e-4)
    assert read_json(workdir / "judged" / "calibration.json") == read_json(tiny_run / "calibration.json")
    assert (workdir / "judged" / "report.html").exists()


def test_evaluate_tells_seen_faces(tiny_run: Path, call: Call, workdir: Path) -> None:
    arguments = (f"run={tiny_run}", "data=synthetic", "data.n=80", "evaluation.bootstrap=20")
    done = call("evaluate", *arguments, "hydra.run.dir=all")
    assert done.code == 0, done.err
    assert "64 of 80 faces are files or copies of those" in done.out
    assert read_json(workdir / "all" / "metrics.json")["test"]["n"] == 80
    assert "64 faces are files or copies of those" in (workdir / "all" / "report.md").read_text(
        encoding="utf-8"
    )
    assert call("evaluate", *arguments, "faces=unseen", "hydra.run.dir=unseen").code == 0
    assert read_json(workdir / "unseen" / "metrics.json")["test"]["n"] == 16


def test_evaluate_recognises_copies_of_seen_faces(tiny_run: Path, call: Call, workdir: Path) -> None:
    """Mirrored and saved again, they are other files: those of train and val were seen, of test not."""
    split = pd.read_csv(tiny_run / "split.csv")
    chosen = pd.concat([split[split["split"] == part].head(4) for part in ("train", "val", "test")])
    for row in chosen.itertuples():
        mirrored = Image.open(str(row.path)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        mirrored.save(workdir / f"{row.split}-{row.Index}.jpg", quality=85)
    names = sorted(path.name for path in workdir.glob("*.jpg"))
    pd.DataFrame({"path": names, "age": 30}).to_csv(workdir / "copies.csv", index=False)
    arguments = ("data=csv", "data.csv=copies.csv", "data.columns.gender=null", "faces=unseen")
    done = call("evaluate", f"run={tiny_run}", *arguments, "hydra.run.dir=unseen")
    assert done.code == 0, done.err
    assert "8 of 12 faces are files or copies of those" in done.out
    table = pd.read_csv(workdir / "unseen" / "predictions.csv")
    assert set(table["id"].str.split("-").str[0]) == {"test"}


def test_evaluate_names_a_damaged_split(tiny_run: Path, call: Call, workdir: Path) -> None:
    shutil.copytree(tiny_run, workdir / "run")
    (workdir / "run" / "split.csv").write_text("id,sha256\n", encoding="utf-8")
    done = call("evaluate", "run=run", "data=synthetic", "data.n=20", "hydra.run.dir=judged")
    assert done.code == 2
    assert "split.csv is damaged" in done.err


def test_a_report_is_rebuilt_from_disk(tiny_run: Path, call: Call, workdir: Path) -> None:
    shutil.copytree(tiny_run, workdir / "run")
    for name in ("report.md", "report.html", "metrics.json"):
        (workdir / "run" / name).unlink()
    shutil.rmtree(workdir / "run" / "plots")
    done = call("report", "runs=[run]")
    assert done.code == 0, done.err
    for name in ("report.md", "metrics.json"):
        assert (workdir / "run" / name).read_bytes() == (tiny_run / name).read_bytes()


def test_a_killed_run_gets_its_report(tiny_run: Path, call: Call, workdir: Path) -> None:
    shutil.copytree(tiny_run, workdir / "run")
    for name in ("predictions.csv", "metrics.json", "report.md"):
        (workdir / "run" / name).unlink()
    (workdir / "run" / "status.json").write_text(
        '{"status": "running", "pid": 999999999, "error": null, "seconds": 3, "step": 2,'
        ' "resumed_from_step": null}'
    )
    done = call("report", "runs=[run]")
    assert done.code == 0, done.err
    assert "killed" in (workdir / "run" / "report.md").read_text(encoding="utf-8")
    assert not (workdir / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    "file",
    ["history.csv", "config.yaml", "dataset.json", "rejected.csv", "predictions.csv", "calibration.json"],
)
@pytest.mark.parametrize("damage", ["", "[{bad", "hello\n1\n"])
def test_a_damaged_file_is_named(file: str, damage: str, tiny_run: Path, call: Call, workdir: Path) -> None:
    shutil.copytree(tiny_run, workdir / "run")
    (workdir / "run" / file).write_text(damage)
    done = call("report", "runs=[run]")
    if file == "config.yaml" and not damage:
        assert done.code == 0  # no settings are no damage: a run may be killed before it writes them
        return
    assert done.code == 2, done.err
    assert file in done.err
    assert len(done.err.splitlines()) <= 2


def test_a_damaged_job_does_not_cost_the_sweep_its_table(call: Call, workdir: Path) -> None:
    done = call("train", "-m", *TINY, "trainer.max_steps=1", "seed=1,2,3", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    (workdir / "sweep" / "0" / "metrics.json").write_text("[]")
    (workdir / "sweep" / "1" / "status.json").write_text("{}")
    assert call("report", "runs=[sweep]").code == 0
    table = pd.read_csv(workdir / "sweep" / "sweep.csv")
    assert table["status"].tolist() == ["ok", "killed", "ok"]
    assert table["test_age_rmse"].isna().tolist() == [True, False, False]


def test_the_input_is_never_overwritten(tiny_run: Path, photos: Path, call: Call) -> None:
    listing = photos / "list.csv.rejected.csv"
    pd.DataFrame({"path": ["broken.jpg"]}).to_csv(listing, index=False)
    before = listing.read_bytes()
    for output in (photos / "list.csv", photos / "sub" / ".." / "list.csv.rejected.csv"):
        done = call("predict", f"run={tiny_run}", f"input={listing}", f"output={output}")
        assert done.code == 2, done.err
        assert "would overwrite the input" in done.err
    assert listing.read_bytes() == before
