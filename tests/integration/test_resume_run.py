"""`resume=DIR`: what goes on, what is refused, and that nothing in the directory changes then."""

from __future__ import annotations

import os
import pickle
import shutil
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
from agegender.engine.last import FORMAT, LAST

from ..training import assert_same_run, striking
from .conftest import TEN_STEPS, TINY, Call


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, interrupted at step 7; tests copy it."""
    path = tmp_path_factory.mktemp("cut") / "run"
    with striking(7):
        assert run_entry(train.ENTRY, [*TEN_STEPS, f"hydra.run.dir={path}"]) == 130
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
        done = call("train", *TEN_STEPS, "hydra.run.dir=run")
    assert done.code == 130
    assert f"resume={workdir / 'run'} goes on from step 2" in done.out
    again = call("train", *TEN_STEPS, "hydra.run.dir=run")
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
        _refused(call, run, "another version of agegender or another program", FORMAT)
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
        own = {"name": "scratch_cnn_v2", "dropout": [0.5, 0.3]}
        content["model"] = {**content["model"], **own}
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
