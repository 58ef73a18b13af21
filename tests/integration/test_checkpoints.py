"""When last.ckpt is written, and what signals and full disks leave."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from agegender.core.files import read_json
from agegender.engine import fit, kept
from agegender.engine.last import LAST, load_last, save_last
from agegender.engine.step import Stepper

from ..training import assert_same_run, striking
from .conftest import TEN_STEPS, Call


class TestSignals:
    def test_a_second_one_does_not_wait(self, workdir: Path, call: Call) -> None:
        every = "trainer.checkpoint_every=2"
        with striking(3, signals=2):
            assert call("train", *TEN_STEPS, every, "hydra.run.dir=run").code == 130
        assert load_last(workdir / "run").step == 2  # the third was half done
        assert read_json(workdir / "run" / "status.json")["status"] == "interrupted"
        assert call("train", "resume=run").code == 0

    def test_while_it_predicts(
        self, workdir: Path, whole: Path, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("agegender.engine.training.predict", lambda *_: signal.raise_signal(signal.SIGTERM))
            assert call("train", *TEN_STEPS, "hydra.run.dir=run").code == 130
        assert not (workdir / "run" / "predictions.csv").exists()
        assert call("train", "resume=run").code == 0
        assert_same_run(whole, workdir / "run")

    def test_while_it_validates(
        self, workdir: Path, whole: Path, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(fit, "validate", lambda *_: signal.raise_signal(signal.SIGTERM))
            assert call("train", *TEN_STEPS, "hydra.run.dir=run").code == 130
        assert load_last(workdir / "run").position == {"phase": "all", "epoch": 1, "epoch_step": 5, "step": 5}
        assert call("train", "resume=run").code == 0
        assert_same_run(whole, workdir / "run")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
    def test_through_the_real_command(self, number: signal.Signals, workdir: Path) -> None:
        long = ("schedule.phases.all.epochs=100000", "schedule.patience=null", "trainer.checkpoint_every=1")
        process = subprocess.Popen(
            [sys.executable, "-m", "agegender.cli.train", *TEN_STEPS, *long, "hydra.run.dir=run"],
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
            ("30s", [4, 5, 9, 10]),
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

        monkeypatch.setattr(kept, "save_last", count)
        taken, take = {"steps": 0}, Stepper.take

        def slow(*arguments: Any) -> Any:
            taken["steps"] += 1
            return take(*arguments)

        monkeypatch.setattr(Stepper, "take", slow)
        monkeypatch.setattr(fit.Fit, "_now", staticmethod(lambda: taken["steps"] * 10.0))
        assert call("train", *TEN_STEPS, f"trainer.checkpoint_every={every}", "hydra.run.dir=run").code == 0
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
            done = call("train", *TEN_STEPS, "trainer.checkpoint_every=2", "hydra.run.dir=run")
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
            [sys.executable, "-m", "agegender.cli.train", *TEN_STEPS, "hydra.run.dir=run"],
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
