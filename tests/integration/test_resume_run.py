"""`resume=DIR`: what goes on, what is refused, and that nothing in the directory changes then."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from agegender.cli import train
from agegender.config.entry import run_entry
from agegender.core.files import read_json, read_yaml, write_json, write_yaml
from agegender.core.lock import locked
from agegender.core.process import process_start
from agegender.engine import fit
from agegender.engine.last import load_last, save_last
from agegender.engine.step import training_step

from ..training import assert_same_run, striking
from .conftest import TINY, Call

BASE = (*TINY, "trainer.batch_size=12", "augment=published")
"""Ten steps, five an epoch."""
LAST = Path("checkpoints") / "last.ckpt"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an uninterrupted run; tests must not write into it."""
    path = tmp_path_factory.mktemp("whole") / "run"
    assert run_entry(train.ENTRY, [*BASE, f"hydra.run.dir={path}"]) == 0
    return path


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, interrupted at step 7; tests copy it."""
    path = tmp_path_factory.mktemp("cut") / "run"
    with striking(7):
        assert run_entry(train.ENTRY, [*BASE, f"hydra.run.dir={path}"]) == 130
    return path


@pytest.fixture
def run(cut: Path, workdir: Path) -> Path:
    """A copy of the interrupted run."""
    shutil.copytree(cut, workdir / "run")
    return workdir / "run"


def _snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time of change and content."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def _refused(call: Call, run: Path, *words: str, more: tuple[str, ...] = ()) -> None:
    """Exit code 2, one or two lines with these words, and not a byte changed."""
    before = _snapshot(run)
    done = call("train", f"resume={run}", *more)
    assert done.code == 2, done.err
    assert len(done.err.strip().splitlines()) <= 2, done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    assert _snapshot(run) == before


def test_an_interrupted_run_ends_in_the_same_bits(run: Path, whole: Path, call: Call) -> None:
    status = read_json(run / "status.json")
    assert (status["status"], status["step"]) == ("interrupted", 7)
    config, log = (run / "config.yaml").read_bytes(), (run / "train.log").read_text(encoding="utf-8")
    done = call("train", "resume=run")
    assert done.code == 0, done.err
    assert "resumed from step 7: epoch 2 (all), step 2 of 5" in done.out
    assert "report:" in done.out
    assert_same_run(whole, run)
    status = read_json(run / "status.json")
    assert (status["status"], status["step"], status["resumed_from_step"]) == ("ok", 10, 7)
    assert (run / "config.yaml").read_bytes() == config
    assert not {"resume", "sweep"} & read_yaml(run / "config.yaml").keys()
    assert (run / "train.log").read_text(encoding="utf-8").startswith(log)
    assert "resumed from step 7" in (run / "report.md").read_text(encoding="utf-8")


def test_the_interrupted_run_says_how_to_go_on(call: Call, workdir: Path) -> None:
    with striking(2):
        done = call("train", *BASE, "hydra.run.dir=run")
    assert done.code == 130
    assert f"resume={workdir / 'run'} goes on from step 2" in done.out
    again = call("train", *BASE, "hydra.run.dir=run")
    assert again.code == 2
    assert f"resume={workdir / 'run'}" in again.err


def test_a_finished_run_is_left_alone(whole: Path, call: Call) -> None:
    before = _snapshot(whole)
    for more in ([], ["trainer.max_steps=100"], ["trainer.accelerator=cpu"]):
        done = call("train", f"resume={whole}", *more)
        assert done.code == 0, done.err
        assert "nothing left to do" in done.out
    assert _snapshot(whole) == before


def test_a_limit_may_move(run: Path, whole: Path, call: Call) -> None:
    _refused(call, run, "trainer.max_steps=6", "step 7", more=("trainer.max_steps=6",))
    _refused(call, run, "trainer.max_steps=many", more=("trainer.max_steps=many",))
    assert call("train", "resume=run", "trainer.max_steps=9").code == 0
    assert read_json(run / "status.json")["step"] == 9
    assert read_yaml(run / "config.yaml")["trainer"]["max_steps"] == 9
    for same in ([], ["trainer.max_steps=9"], ["trainer.max_steps=2"]):
        assert "nothing left to do" in call("train", "resume=run", *same).out
    assert call("train", "resume=run", "trainer.max_steps=null").code == 0
    assert_same_run(whole, run)


def test_another_device_may_be_named_if_it_is_here(run: Path, call: Call) -> None:
    if not torch.cuda.is_available():
        _refused(call, run, "not on this machine", more=("trainer.accelerator=cuda",))
    assert call("train", "resume=run", "trainer.accelerator=cpu").code == 0


def test_a_name_of_any_characters(cut: Path, workdir: Path, call: Call) -> None:
    name = "a run (1), ümläut ${x} it's"
    shutil.copytree(cut, workdir / name)
    done = call("train", f"resume={name}")
    assert done.code == 0, done.err
    assert read_json(workdir / name / "status.json")["resumed_from_step"] == 7


def test_a_live_run_is_left_alone(run: Path, call: Call) -> None:
    pid = os.getpid()
    write_json(
        run / "status.json",
        {**read_json(run / "status.json"), "status": "running", "process_start": process_start(pid)},
    )
    _refused(call, run, "still running", str(pid))
    with locked(run / "config.yaml") as is_ours:
        assert is_ours
        write_json(run / "status.json", {**read_json(run / "status.json"), "status": "killed"})
        _refused(call, run, "still running")


def test_a_sweep_is_no_run(run: Path, call: Call) -> None:
    write_json(run / "sweep.json", {})
    _refused(call, run, "holds a sweep", "sweep.resume")


def test_a_yaml_cannot_resume(workdir: Path, call: Call) -> None:
    (workdir / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\nresume: somewhere\n"
    (workdir / "mine" / "experiment" / "x.yaml").write_text(text, encoding="utf-8")
    done = call("train", "experiment=x", "--config-dir", "mine")
    assert done.code == 2
    assert "resume=somewhere stands in a YAML" in done.err


def test_null_is_no_resume(workdir: Path, call: Call) -> None:
    assert call("train", *TINY, "trainer.max_steps=1", "resume=null", "hydra.run.dir=run").code == 0
    assert "resume" not in read_yaml(workdir / "run" / "config.yaml")


def test_killed_before_the_first_checkpoint(run: Path, call: Call) -> None:
    (run / LAST).unlink()
    _refused(call, run, "last.ckpt", "before its first checkpoint")


class TestDamage:
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
    def test_truncated(self, share: float, run: Path, call: Call) -> None:
        content = (run / LAST).read_bytes()
        (run / LAST).write_bytes(content[: int(len(content) * share)])
        _refused(call, run, "last.ckpt is damaged")

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
    def test_a_flipped_bit_in_a_tensor(self, share: float, run: Path, call: Call) -> None:
        content = bytearray((run / LAST).read_bytes())
        content[int(len(content) * share)] ^= 1
        (run / LAST).write_bytes(content)
        _refused(call, run, "last.ckpt is damaged")

    def test_another_file(self, run: Path, call: Call) -> None:
        (run / LAST).write_text("no checkpoint")
        _refused(call, run, "last.ckpt is damaged")
        torch.save({"network": {}}, run / LAST)
        _refused(call, run, "another version of agegender or another program", "agegender-last/1")
        torch.save([1], run / LAST)
        _refused(call, run, "another program")

    def test_a_pickle_is_not_run(self, run: Path, call: Call, workdir: Path) -> None:
        class Harm:
            def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
                return os.mkdir, ("harm",)

        torch.save({"format": "agegender-last/1", "network": Harm()}, run / LAST)
        _refused(call, run, "last.ckpt is damaged")
        (run / LAST).write_bytes(pickle.dumps(Harm()))
        _refused(call, run, "last.ckpt is damaged")
        assert not (workdir / "harm").exists()

    def test_a_part_is_missing(self, run: Path, call: Call) -> None:
        _rewrite(run, lambda content: content.pop("optimizer"))
        _refused(call, run, "last.ckpt is damaged (no optimizer)")

    @pytest.mark.parametrize("name", ["status.json", "config.yaml"])
    def test_no_run(self, name: str, run: Path, call: Call) -> None:
        (run / name).unlink()
        _refused(call, run, "holds no run", name)

    @pytest.mark.parametrize("text", ["", "[1]", "a: [", "!!python/object/apply:os.mkdir [harm]"])
    def test_config(self, text: str, run: Path, call: Call, workdir: Path) -> None:
        (run / "config.yaml").write_text(text, encoding="utf-8")
        _refused(call, run, "config.yaml is damaged")
        assert not (workdir / "harm").exists()

    def test_config_out_of_bounds(self, run: Path, call: Call) -> None:
        _edit(run, "loss", "lambda", -1)
        _refused(call, run, "config.yaml: loss.lambda=-1")

    def test_no_best(self, run: Path, call: Call) -> None:
        (run / "checkpoints" / "best.safetensors").unlink()
        _refused(call, run, "best.safetensors")


class TestOtherThings:
    def test_other_data(self, run: Path, call: Call) -> None:
        before = read_json(run / "dataset.json")["split_sha256"]
        _edit(run, "data", "seed", 1)
        _refused(call, run, "other data", "sha256", before)

    def test_another_model(self, run: Path, call: Call) -> None:
        content = read_yaml(run / "config.yaml")
        content["model"] = {"name": "scratch_cnn_v2", "weights": None, "dropout": [0.5, 0.3]}
        write_yaml(run / "config.yaml", content)
        _refused(call, run, "does not fit config.yaml", "model.name is scratch_cnn", "scratch_cnn_v2")

    def test_another_setting(self, run: Path, call: Call) -> None:
        content = read_yaml(run / "config.yaml")
        content["schedule"]["phases"]["all"]["lr"] = 0.5
        write_yaml(run / "config.yaml", content)
        _refused(call, run, "schedule.phases.all.lr is 0.0001 in the checkpoint, 0.5 in config.yaml")

    def test_tensors_that_do_not_fit(self, run: Path, call: Call) -> None:
        name = "age_head.linear.weight"
        _rewrite(run, lambda content: content["network"].update({name: torch.zeros(7, 256)}))
        _refused(call, run, "does not fit", name, "(7, 256)", "(1, 256)")
        _rewrite(run, lambda content: content["network"].pop(name))
        _refused(call, run, "does not fit", f"{name} is in the network alone")

    def test_an_optimizer_that_does_not_fit(self, run: Path, call: Call) -> None:
        _rewrite(run, lambda content: content["optimizer"]["param_groups"].pop())
        _refused(call, run, "does not fit")


def test_other_labels(workdir: Path, call: Call) -> None:
    for i in range(40):
        Image.effect_noise((16, 16), 80 + i).convert("RGB").save(workdir / f"{i}.png")
    names = [f"{i}.png" for i in range(40)]
    table = pd.DataFrame({"path": names, "age": range(1, 41), "gender": [0, 1] * 20})
    table.to_csv("faces.csv", index=False)
    codes = ("data.csv=faces.csv", "data.gender_codes={0:male,1:female}", "trainer.batch_size=8")
    with striking(2):
        assert call("train", *TINY[:1], *TINY[2:], "data=csv", *codes, "hydra.run.dir=run").code == 130
    table.iloc[::-1].to_csv("faces.csv", index=False)
    _refused(call, workdir / "run", "other data", "another order or with other labels")
    table.assign(age=[1.25, *range(2, 41)]).to_csv("faces.csv", index=False)
    _refused(call, workdir / "run", "other data", "another order or with other labels")
    table.iloc[:30].to_csv("faces.csv", index=False)
    _refused(call, workdir / "run", "other data", "sha256")
    table.to_csv("faces.csv", index=False)
    assert call("train", "resume=run").code == 0


def _edit(run: Path, section: str, key: str, value: object) -> None:
    content = read_yaml(run / "config.yaml")
    content[section][key] = value
    (run / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def _rewrite(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = torch.load(run / LAST, weights_only=True)
    change(content)
    torch.save(content, run / LAST)


class TestSignals:
    def test_a_second_one_does_not_wait(self, workdir: Path, call: Call) -> None:
        every = "trainer.checkpoint_every=2"
        with striking(3, signals=2):
            assert call("train", *BASE, every, "hydra.run.dir=run").code == 130
        assert load_last(workdir / "run").step == 2  # the third was half done
        assert read_json(workdir / "run" / "status.json")["status"] == "interrupted"
        assert call("train", "resume=run").code == 0

    def test_while_it_predicts(
        self, workdir: Path, whole: Path, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("agegender.engine.training.predict", lambda *_: signal.raise_signal(signal.SIGTERM))
            assert call("train", *BASE, "hydra.run.dir=run").code == 130
        assert not (workdir / "run" / "predictions.csv").exists()
        assert call("train", "resume=run").code == 0
        assert_same_run(whole, workdir / "run")

    def test_while_it_validates(
        self, workdir: Path, whole: Path, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(fit, "validate", lambda *_: signal.raise_signal(signal.SIGTERM))
            assert call("train", *BASE, "hydra.run.dir=run").code == 130
        assert load_last(workdir / "run").position == {"phase": "all", "epoch": 1, "epoch_step": 5, "step": 5}
        assert call("train", "resume=run").code == 0
        assert_same_run(whole, workdir / "run")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
    def test_through_the_real_command(self, number: signal.Signals, workdir: Path) -> None:
        long = ("schedule.phases.all.epochs=100000", "schedule.patience=null", "trainer.checkpoint_every=1")
        process = subprocess.Popen(
            [sys.executable, "-m", "agegender.cli.train", *BASE[:4], *BASE[5:], *long, "hydra.run.dir=run"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 120
        while not (workdir / "run" / LAST).exists() and time.monotonic() < until:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        status = read_json(workdir / "run" / "status.json")
        assert status["status"] == "interrupted"
        assert load_last(workdir / "run").step == status["step"]  # the step was finished and kept


class TestCheckpointEvery:
    @pytest.mark.parametrize(
        ("every", "expected"),
        [
            ("null", [5, 10]),
            ("2", [2, 4, 5, 6, 8, 10, 10]),
            ("1000", [5, 10]),
            ("30s", [3, 5, 8, 10]),
            ("1min", [5, 10]),
        ],
    )
    @pytest.mark.usefixtures("workdir")
    def test_steps_and_durations(
        self, every: str, expected: list[int], call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A step takes ten seconds here, and a checkpoint none."""
        saved: list[int] = []

        def count(path: Path, last: Any) -> None:
            save_last(path, last)
            saved.append(last.step)

        monkeypatch.setattr(fit, "save_last", count)
        taken = {"steps": 0}

        def slow(*arguments: Any) -> Any:
            taken["steps"] += 1
            return training_step(*arguments)

        monkeypatch.setattr(fit, "training_step", slow)
        monkeypatch.setattr(fit.Fit, "_now", staticmethod(lambda: taken["steps"] * 10.0))
        assert call("train", *BASE, f"trainer.checkpoint_every={every}", "hydra.run.dir=run").code == 0
        assert saved == expected


class TestFullDisk:
    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("write failed")])
    def test_the_earlier_checkpoint_stays(
        self, error: Exception, call: Call, workdir: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save = torch.save

        def full(content: dict[str, Any], path: Path) -> None:
            save(content, path)
            if content["position"]["step"] == 6:
                path.write_bytes(path.read_bytes()[:5000])
                raise error

        with monkeypatch.context() as patch:
            patch.setattr(torch, "save", full)
            done = call("train", *BASE, "trainer.checkpoint_every=2", "hydra.run.dir=run")
        assert done.code == 1
        assert len(done.err.splitlines()) == 1
        assert f"cannot write {workdir / 'run' / LAST}" in done.err
        assert "the earlier one stays" in done.err
        status = read_json(workdir / "run" / "status.json")
        assert status["status"] == "failed"
        assert "cannot write" in status["error"]
        assert load_last(workdir / "run").step == 5
        assert {path.name for path in (workdir / "run" / "checkpoints").iterdir()} == {
            "best.safetensors",
            "last.ckpt",
        }
        assert call("train", "resume=run").code == 0
        predictions = [(path / "predictions.csv").read_bytes() for path in (whole, workdir / "run")]
        assert predictions[0] == predictions[1]

    def test_for_real(self, workdir: Path) -> None:
        """No file may grow beyond half a checkpoint."""
        done = subprocess.run(
            [sys.executable, "-m", "agegender.cli.train", *BASE, "hydra.run.dir=run"],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert "cannot write" in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert read_json(workdir / "run" / "status.json")["status"] == "failed"
        assert not any((workdir / "run" / "checkpoints").iterdir())
