"""The benchmark's two sides train the same thing, and its figures and page follow from what they measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import benchmark
import benchmark_engine
import naive_loop
import numpy as np
import pandas as pd
import pytest
import torch
from benchmark_cases import ALL, CASES, HEADS, MODEL2, RESNET34, Case, Size
from benchmark_figures import (
    Pair,
    absent_entry,
    balancer_entry,
    input_entry,
    is_met,
    pair_entry,
    precision_entry,
    start_entry,
)
from benchmark_measured import Measured
from benchmark_page import page
from safetensors.torch import load_file

from agegender.models.network import AgeGenderNet, Outputs

ONE_STEP = (
    "data=synthetic", "data.n=40", "trainer.precision=32", "trainer.batch_size=64", "augment=none",
)  # fmt: skip
"""A step over all training faces: their order does not matter. Adam's first step follows the signs alone, so
that rounding shows where a gradient is nearly 0."""
HARDWARE = {
    "torch": "2", "threads": 2, "float32": 1e12, "bf16": 4e12,
    "flops": {name: {"forward": 1e9, "training": 3e9} for name in ("resnet34", "scratch_cnn_v2")},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the DataLoader's workers
@pytest.mark.parametrize(
    "settings",
    [
        (*MODEL2, "data.image_size=16", "model.dropout=[0.0,0.0]"),
        (*RESNET34, *HEADS, "data.image_size=32", "schedule.phases.heads.epochs=2"),
        (*RESNET34, *ALL, "data.image_size=32", "schedule.phases.all.epochs=1"),
    ],
    ids=["model2", "heads", "all"],
)
def test_both_sides_train_the_same(settings: tuple[str, ...], tmp_path: Path) -> None:
    chosen = [*settings, *ONE_STEP]
    if settings[0] == MODEL2[0]:
        chosen.append("schedule.phases.all.epochs=1")
    else:
        weights = tmp_path / "backbone.safetensors"
        benchmark_engine.backbone(weights, chosen)
        chosen.append(f"model.weights='{weights}'")
    benchmark_engine.prepare(tmp_path, chosen)
    recipe = naive_loop.Recipe(**json.loads((tmp_path / "recipe.json").read_text()))
    table = pd.read_csv(tmp_path / "faces.csv")
    network = naive_loop.Network(recipe)
    before = load_file(tmp_path / "weights-0.safetensors")
    network.load_state_dict(before)
    naive = naive_loop.train(recipe, table, network)
    benchmark_engine.train(tmp_path / "ours.json", chosen)
    ours = Measured.read(tmp_path / "ours.json")
    assert len(naive.val_age) == len(ours.val_age) == 8
    assert ours.val_age == pytest.approx(np.clip(naive.val_age, 0, 120).tolist(), abs=0.1)
    assert ours.val_female == pytest.approx(naive.val_female, abs=2e-3)
    assert [len(steps) for steps in naive.epochs_steps] == [len(steps) for steps in ours.epochs_steps]
    moved = {name for name, value in network.state_dict().items() if not value.equal(before[name])}
    assert any(name.startswith("backbone.") for name in moved) != recipe.heads_only
    assert any(name.startswith("age_head.") for name in moved)


def test_even_epochs_see_a_constant_tensor(tmp_path: Path) -> None:
    settings = [
        *MODEL2,
        "data.image_size=16",
        *ONE_STEP,
        "trainer.batch_size=8",
        "schedule.phases.all.epochs=2",
    ]
    benchmark_engine.constant_input(tmp_path / "input.json", settings)
    measured = Measured.read(tmp_path / "input.json")
    assert [len(steps) for steps in measured.epochs_steps] == [4, 4]
    assert measured.train_faces == 32
    assert measured.passes == 2


@pytest.mark.parametrize(("name", "passes"), [("dwa", 1), ("age_only", 1), ("pcgrad", 2), ("gradnorm", 3)])
def test_every_second_step_is_balanced(name: str, passes: int, tmp_path: Path) -> None:
    settings = [*MODEL2, "data.image_size=16", *ONE_STEP, "trainer.batch_size=8", f"balancer={name}"]
    more = ["schedule.phases.all.epochs=2", "balancer.diagnose_every=null"]
    benchmark_engine.balancer(tmp_path / "balancer.json", [*settings, *more])
    measured = Measured.read(tmp_path / "balancer.json")
    assert [len(steps) for steps in measured.epochs_steps] == [4, 4]
    assert measured.backward_passes == passes  # GradNorm's extra two end in the last shared layer
    assert measured.backward_share is not None
    assert 0 < measured.backward_share < 1


@pytest.mark.parametrize("model", ["mobilenet_v3_small", "efficientnet_lite0"])
def test_every_second_step_is_in_bf16(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_cast: list[bool] = []
    forward = AgeGenderNet.forward

    def seen(network: AgeGenderNet, images_BCHW: torch.Tensor) -> Outputs:
        if network.training:
            is_cast.append(torch.is_autocast_enabled("cpu"))
        return forward(network, images_BCHW)

    monkeypatch.setattr(AgeGenderNet, "forward", seen)
    monkeypatch.delenv("AGEGENDER_DATA", raising=False)
    case = _case(f"precision_{model}")
    assert (case.model, case.bound, case.target) == (model, "at most", 1.0)
    toy = ["data=synthetic", "data.n=40", "data.image_size=32", "trainer.batch_size=8"]
    benchmark_engine.precision(tmp_path / "precision.json", [*case.chosen(Size(40)), *toy])
    measured = Measured.read(tmp_path / "precision.json")
    assert [len(steps) for steps in measured.epochs_steps] == [4]
    assert is_cast == [True, False, True, False]


def test_precision() -> None:
    measured = Measured(9.0, [[9.0, 9.0, 4.0, 3.0, 4.0, 2.0], [9.0, 9.0, 4.0, 1.0]], 24, peak_memory=2**30)
    entry = precision_entry(_case("precision_mobilenet_v3_small"), measured)
    assert entry["ratios"] == pytest.approx([0.625, 0.25])
    assert (entry["naive"], entry["ours"], entry["ratio"]) == pytest.approx((4.0, 2.0, 0.4375))
    assert entry["images_per_second"] == pytest.approx({"bf16": 1.0, "auto": 2.0})
    assert is_met(entry)
    document = {
        "cases": [entry], "command": "COMMAND", "faces": "FACES.", "machine": "MACHINE.",
        "hardware": HARDWARE, "profiles": {},
    }  # fmt: skip
    row = "| 4.00 s (bf16) | 2.00 s | 0.438 (0.250–0.625) | at most 1 | met | 1.0, 2.0 | ours 1.00 GiB |"
    assert f"| `precision_mobilenet_v3_small` {row}" in page(document)


def _case(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def _faces() -> pd.DataFrame:
    ages, genders = [20.0, 30.0, 40.0, 50.0], ["female", "male", "female", "male"]
    return pd.DataFrame({"age": ages, "gender": genders, "part": ["train", "train", "val", "val"]})


def _measured(seconds: float, error: float, passes: float | None = None) -> Measured:
    steps = [seconds, seconds, seconds / 10]
    return Measured(seconds, [steps], 2, [40 + error, 50 - error], [0.9, 0.1], passes, 2**30, 2**29)


def _pairs() -> list[Pair]:
    return [
        Pair(_measured(12.0, 3.0), _measured(2.0, 4.0, 1.0)),
        Pair(_measured(20.0, 5.0), _measured(2.0, 5.0, 1.2)),
        Pair(_measured(16.0, 4.0), _measured(2.0, 3.0, 1.0)),
    ]


def test_figures_of_a_pair() -> None:
    case = _case("resnet34_phase1_plain")
    entry = pair_entry(case, Size(4, epochs=5), _faces(), _pairs())
    assert {"name", "naive", "ours", "ratio", "target"} <= entry.keys()
    assert (entry["naive"], entry["ours"], entry["ratio"]) == pytest.approx((16 / 5, 2 / 5, 8))
    assert entry["images_per_second"] == pytest.approx({"naive": 4 * 5 / 16, "ours": 4 * 5 / 2})
    assert entry["passes"] == 1.2
    assert is_met(entry)
    assert not is_met({**entry, "passes": 1.4})
    assert not is_met({**entry, "ratio": 5.9})
    rmse = entry["validation"]["age_rmse"]
    assert rmse["naive"] == pytest.approx([3, 5, 4])
    assert rmse["ours"] == pytest.approx([4, 5, 3])
    assert rmse["difference"]["mean"] == pytest.approx(0)
    assert rmse["difference"]["high"] == pytest.approx(
        4.303 / 3**0.5, abs=1e-3
    )  # t with 2 degrees of freedom
    assert entry["validation"]["gender_f1"]["ours"] == [1, 1, 1]


def test_a_step_is_one_past_the_warm_up() -> None:
    entry = pair_entry(_case("resnet34_phase2"), Size(4), _faces(), _pairs())
    assert (entry["naive"], entry["ours"], entry["ratio"]) == pytest.approx((1.6, 0.2, 8))
    assert entry["images_per_second"]["ours"] == pytest.approx(2 / 3 / 0.2)


def test_input_and_start() -> None:
    measured = Measured(9.0, [[9.0, 9.0, 2.0], [9.0, 9.0, 1.0], [9.0, 9.0, 3.3], [9.0, 9.0, 3.0]], 24)
    entry = input_entry(_case("input_overhead"), measured)
    assert entry["ratios"] == pytest.approx([2, 1.1])
    assert (entry["ours"], entry["constant"]) == pytest.approx((2.65, 2))
    assert is_met(entry) is False
    starts = start_entry(_case("warm_start"), Size(9), [Measured(seconds, []) for seconds in (0.5, 0.9, 0.7)])
    assert starts["ratio"] == starts["ours"] == 0.7
    assert is_met(starts)


def test_a_balancer() -> None:
    steps = [[9.0, 9.0, 2.0, 3.0, 2.0, 3.0, 8.0], [9.0, 9.0, 2.0, 3.4]]
    measured = Measured(9.0, steps, 24, peak_memory=2**30, backward_passes=2.0, backward_share=0.6)
    entry = balancer_entry(_case("balancer_pcgrad"), measured)
    assert entry["ratios"] == pytest.approx([1.5, 1.7])
    assert (entry["ratio"], entry["fixed"], entry["ours"]) == pytest.approx((1.6, 2.0, 3.0))
    assert (entry["extra_backward_passes"], entry["two_passes"]) == (1.0, 1.6)
    assert is_met(entry)
    document = {
        "cases": [entry], "command": "COMMAND", "faces": "FACES.", "machine": "MACHINE.",
        "hardware": HARDWARE, "profiles": {},
    }  # fmt: skip
    text = page(document)
    assert (
        "| `balancer_pcgrad` | 2.00 s | 3.00 s | 1.600 (1.500–1.700) | at most 1.6 | met | 1.00 | 1.00 GiB |"
        in text
    )
    assert "naive" not in text


def test_the_page() -> None:
    cases = [
        pair_entry(_case("model2_epoch"), Size(4, epochs=2), _faces(), _pairs()),
        pair_entry(_case("resnet34_phase1_plain"), Size(4, epochs=5), _faces(), _pairs()),
        absent_entry(_case("resnet34_gpu"), "not run: no GPU"),
    ]
    document = {
        "cases": cases, "command": "COMMAND", "faces": "FACES.", "machine": "MACHINE.", "hardware": HARDWARE,
        "profiles": {"model2_epoch": [("aten::mm", 0.4)]},
    }  # fmt: skip
    json.dumps(document, allow_nan=False)
    lines = page(document).splitlines()
    rows = [line for line in lines if line.startswith("| `model2_epoch`")]
    assert rows[0].startswith("| `model2_epoch` | 8.00 s | 1.00 s | 8.00 (6.00–10.00) | at least 2 | met |")
    assert (
        "| 4.00 | 4.00 | +0.00 (-2.48 to +2.48) | 1.000 | 1.000 | +0.000 (+0.000 to +0.000) | yes |"
        in rows[1]
    )
    assert "1.20 forward passes (at most 1.3)" in "\n".join(lines)
    assert "| not run: no GPU | – |" in "\n".join(lines)
    assert "- `model2_epoch`: aten::mm 40%" in lines
    widths = {line.count("|") for line in lines if line.startswith("| `") and "met" in line}
    assert widths == {9}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases", "model2_epochs"], "unknown case 'model2_epochs'; did you mean 'model2_epoch'?"),
        (["--pairs", "0"], "--pairs=0: at least 1"),
        (["--pear"], "unrecognized arguments: --pear"),
    ],
)
def test_mistakes(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    workdir: Path,
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *arguments])
    assert benchmark.main() == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert not list(workdir.iterdir())
