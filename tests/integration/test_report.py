"""`agegender-report` over several directories, and over two runs on the same faces."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from agegender.core.files import read_json, write_json

from ..made import add_predictions, figures, make_run, make_sweep, predictions
from .conftest import Call


@pytest.fixture
def sweeps(workdir: Path) -> list[Path]:
    """Two sweeps of the same jobs, but for the seed."""
    paths = [make_sweep(workdir / name, [[f"loss.lambda={x}"] for x in (1, 10, 100)]) for name in "ab"]
    for seed, path in enumerate(paths):
        for i, weight in enumerate((1.0, 10.0, 100.0)):
            make_run(path / str(i), figures(9 + i, 0.8 + i / 50), {"seed": seed, "loss": {"lambda": weight}})
    return paths


def test_several_sweeps_get_a_page_of_their_own(sweeps: list[Path], call: Call, workdir: Path) -> None:
    done = call("report", f"runs=[{sweeps[0]},{sweeps[1]}]")
    assert done.code == 0, done.err
    assert all((path / "sweep.csv").exists() for path in sweeps)
    (folder,) = workdir.glob("outputs/report/*/*")
    assert str(folder / "sweep.html") in done.out
    table = pd.read_csv(folder / "sweep.csv")
    assert table["job"].tolist() == ["a/0", "a/1", "a/2", "b/0", "b/1", "b/2"]
    assert table["loss.lambda"].tolist() == [1, 10, 100] * 2
    text = (folder / "sweep.md").read_text(encoding="utf-8")
    assert "2 of 2" in text
    assert "(plots/pareto.png)" in text
    assert (folder / "../../../../b/2/report.html").exists()


@pytest.mark.usefixtures("sweeps")
def test_one_directory_is_rebuilt_in_its_place(call: Call, workdir: Path) -> None:
    assert call("report", "runs=[a,a]").code == 0
    assert (workdir / "a" / "sweep.csv").exists()
    assert not (workdir / "outputs").exists()


def test_sweeps_on_other_faces_are_rebuilt_but_not_merged(
    sweeps: list[Path], call: Call, workdir: Path
) -> None:
    dataset = sweeps[1] / "0" / "dataset.json"
    write_json(dataset, read_json(dataset) | {"split_sha256": "bb22"})
    done = call("report", "runs=[a,b]", "output=together")
    assert done.code == 2
    assert "bb22" in done.err
    assert len(done.err.splitlines()) == 1
    assert str(sweeps[1] / "sweep.md") in done.out
    assert not (workdir / "together").exists()


def test_two_runs_are_compared(call: Call, workdir: Path) -> None:
    for seed, name in enumerate(("run a", "run b")):
        add_predictions(make_run(workdir / name, config={"seed": seed}), predictions(seed=seed))
    done = call("report", "compare=[run a, run b]", "output=compared")
    assert done.code == 0, done.err
    assert "age RMSE (years)" in done.out
    assert str(workdir / "compared" / "compare.html") in done.out
    for name in ("compare.md", "compare.csv", "compare.html"):
        assert (workdir / "compared" / name).exists()
    assert call("report", "compare=[run a,run b]", "output=compared").code == 0  # written anew
    again = call("report", "compare=[run a,run b]", "output='run a'")
    assert again.code == 2
    assert "holds a run or a sweep" in again.err


def test_an_output_that_cannot_be_made(call: Call, workdir: Path) -> None:
    for seed, name in enumerate("ab"):
        run = make_run(workdir / name, figures(9, 0.8), config={"seed": seed})
        add_predictions(run, predictions(seed=seed))
    for output, message in (("a/status.json", "is a file"), ("a/status.json/x", "cannot be made")):
        done = call("report", "compare=[a,b]", f"output={output}")
        assert done.code == 2, done.err
        assert message in done.err
