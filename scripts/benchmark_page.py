"""benchmarks.json as a Markdown page."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from benchmark_figures import is_met

_DIGITS = {"age_rmse": 2, "gender_f1": 3}

_SIDES = (
    "The naive loop (`scripts/naive_loop.py`) is what a notebook holds: Pillow decodes every photo in every "
    "epoch in a DataLoader with two workers, torchvision's first transforms resize, flip, turn, jitter and "
    "normalise, the network computes in float32 and in torch's default layout, a loss's value is asked for "
    "three times a step, and a first phase steps the heads' optimizer alone while autograd still runs "
    "through the backbone. Ours is `engine/fit.py` with its defaults, in bf16 where the processor has it; "
    "its history and its checkpoints are written within the time. Both train the same network from the same "
    "first weights on the same faces with the same batch size, learning rate and number of epochs, each in "
    "a process of its own, in turn. ResNet34 has random weights, with the BatchNorm statistics of some "
    "faces: speed does not depend on them."
)
_RATIO = (
    "A ratio is the naive loop's time by ours (a step with faces by one with a constant tensor, in epochs "
    "that alternate; a step under `trainer.precision=auto` by its neighbour in bf16; for a start, its "
    "seconds): the median over pairs, the least and the largest. Pairs differ in their seed."
)
_NOISE = (
    "Figures of the val faces after the last epoch, means over the seeds; in brackets the 95 % t-interval of "
    "ours less naive over the seeds (none where there is one seed). The sides draw order, augmentation and "
    "dropout on their own, and compute in other numbers. Equal within noise: 0 lies in both intervals."
)


def page(document: dict[str, Any]) -> str:
    """Everything that was measured; cases that cannot run here are named, too."""
    cases = [case for case in document["cases"] if case["measure"] != "balancer"]
    balancers = [case for case in document["cases"] if case["measure"] == "balancer"]
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{document['command']}`. {document['machine']} {document['faces']}",
        *(["", _SIDES, "", _RATIO, "", *_ratios(cases)] if cases else []),
        *_balancers(balancers),
        *_validation([case for case in cases if case.get("validation")]),
        *(_hardware(cases, document["hardware"]) if cases else []),
        *_profiles(document["profiles"]),
    ]
    return "\n".join(lines) + "\n"


def _ratios(cases: list[dict[str, Any]]) -> list[str]:
    head = ["case", "naive", "ours", "ratio", "wanted", "", "images/s of either", "peak memory"]
    return [
        *_table(head, [_row(case) for case in cases]),
        "",
        *(f"- `{case['name']}`: {case['what']}." for case in cases),
        "",
        "Memory is each side's largest resident size; a DataLoader worker's counts pages that it shares.",
    ]


def _row(case: dict[str, Any]) -> list[str]:
    name, target = f"`{case['name']}`", case["target"]
    wanted = (
        "–" if target is None else f"{case['bound']} {target:g}{' s' if case['measure'] == 'start' else ''}"
    )
    if case["ratio"] is None:
        return [name, "", "", case["absent"], wanted, "", "", ""]
    low, high = min(case["ratios"]), max(case["ratios"])
    digits = 2 if case["measure"] in ("epoch", "step") else 3
    naive = case.get("constant", case["naive"])
    passes = ""
    if case.get("most_passes"):
        passes = f"; {case['passes']:.2f} forward passes (at most {case['most_passes']:g})"
    speeds = case.get("images_per_second")
    return [
        name,
        _seconds(naive) + {"input": " (constant)", "precision": " (bf16)"}.get(case["measure"], ""),
        _seconds(case["ours"]),
        f"{case['ratio']:.{digits}f} ({low:.{digits}f}–{high:.{digits}f}){passes}",
        wanted,
        {True: "met", False: "**missed**", None: ""}[is_met(case)],
        ", ".join(f"{speed:.1f}" for speed in speeds.values()) if speeds else "",
        _memory(case),
    ]


def _memory(case: dict[str, Any]) -> str:
    peaks = case.get("peak_memory")
    if not peaks:
        return ""
    texts = []
    if "naive" in peaks:
        texts.append(f"naive {_gib(peaks['naive'])}, a worker {_gib(case['peak_worker_memory'])}")
    texts.append(f"ours {_gib(peaks['ours'])}")
    if case.get("peak_gpu_memory"):
        texts.append(f"GPU {_gib(case['peak_gpu_memory'])}")
    return "; ".join(texts)


def _balancers(cases: list[dict[str, Any]]) -> list[str]:
    if not cases:
        return []
    bounds = sorted(case["two_passes"] for case in cases)
    rows = [
        [
            f"`{case['name']}`",
            _seconds(case["fixed"]),
            _seconds(case["ours"]),
            f"{case['ratio']:.3f} ({min(case['ratios']):.3f}–{max(case['ratios']):.3f})",
            "–" if case["target"] is None else f"at most {case['target']:g}",
            {True: "met", False: "**missed**", None: ""}[is_met(case)],
            f"{case['extra_backward_passes']:.2f}",
            _gib(case["peak_memory"]["ours"]),
        ]
        for case in cases
    ]
    return [
        "",
        "## What a balancer costs",
        "",
        "A step of Model 2 (128 px, batch 32) by its neighbour under `balancer=fixed`, in steps that "
        "alternate within a run: the median over an epoch, and of these the median, the least and the "
        "largest. Nobody looks at the tasks' gradients (`balancer.diagnose_every=null`) but in "
        "`balancer_looked_at`, a step of `fixed` that is looked at: by default every twentieth is. "
        f"The backward pass of `fixed` takes {bounds[0] - 1:.0%} to {bounds[-1] - 1:.0%} of its step: with a "
        f"second whole one a step costs {bounds[len(bounds) // 2]:.2f} times as much before anything is "
        "balanced. Extra backward passes are those that reach the features: GradNorm's two end in the last "
        "shared layer.",
        "",
        *_table(
            ["case", "fixed", "balanced", "ratio", "wanted", "", "extra backward passes", "peak memory"], rows
        ),
    ]


def _validation(cases: list[dict[str, Any]]) -> list[str]:
    if not cases:
        return []
    rows = []
    for case in cases:
        figures = case["validation"]
        cells = [cell for name in _DIGITS for cell in _compared(figures[name], _DIGITS[name])]
        faces, seeds = case["faces"], len(case["ratios"])
        parts = f"{faces['train']}, {faces['val']}"
        counts = [str(case["epochs"]), str(seeds)]
        rows.append([f"`{case['name']}`", parts, *counts, *cells, _equal(figures)])
    return [
        "",
        "## What comes out",
        "",
        _NOISE,
        "",
        *_table(
            [
                "case", "faces (train, val)", "epochs", "seeds",
                "age RMSE, naive", "ours", "difference", "gender F1, naive", "ours", "difference",
                "equal within noise",
            ],
            rows,
        ),
    ]  # fmt: skip


def _equal(figures: dict[str, Any]) -> str:
    """In the digits that are shown: roundings of bf16 that no reader sees are no difference."""
    for name, digits in _DIGITS.items():
        difference = figures[name]["difference"]
        if difference["low"] is None:
            return "–"
        if not round(difference["low"], digits) <= 0 <= round(difference["high"], digits):
            return "**no**"
    return "yes"


def _compared(figure: dict[str, Any], digits: int) -> list[str]:
    difference = figure["difference"]
    text = f"{difference['mean']:+.{digits}f}"
    if difference["low"] is not None:
        text += f" ({difference['low']:+.{digits}f} to {difference['high']:+.{digits}f})"
    return [*(f"{fmean(figure[side]):.{digits}f}" for side in ("naive", "ours")), text]


def _hardware(cases: list[dict[str, Any]], hardware: dict[str, Any]) -> list[str]:
    peaks = {"naive": hardware["float32"], "ours": hardware["bf16"]}
    lines = [
        "",
        "## How near the hardware's limit",
        "",
        f"Two matrices of 2048 x 2048 multiply at {peaks['naive'] / 1e12:.2f} TFLOP/s in float32 and at "
        f"{peaks['ours'] / 1e12:.2f} TFLOP/s in bf16 on {hardware['threads']} threads. A frozen backbone "
        "costs the naive loop a whole training step, ours a forward pass.",
        "",
    ]
    rows = []
    for case in cases:
        speeds = case.get("images_per_second_in_steps")
        if not speeds or case.get("most_passes"):  # its steps see features, not images
            continue
        flops = hardware["flops"][case["model"]]
        row = [f"`{case['name']}`"]
        for side, work in (("naive", "training"), ("ours", case["work"])):
            rate = flops[work] * speeds[side]
            row += [f"{flops[work] / 1e9:.2f}", f"{speeds[side]:.1f}", f"{rate / peaks[side]:.0%}"]
        rows.append(row)
    lines += _table(
        [
            "in steps", "naive, GFLOP an image", "images/s", "of the float32 peak",
            "ours, GFLOP an image", "images/s", "of the bf16 peak",
        ],
        rows,
    )  # fmt: skip
    return lines + _gpu(cases, hardware)


def _gpu(cases: list[dict[str, Any]], hardware: dict[str, Any]) -> list[str]:
    found = [case for case in cases if case["name"] == "resnet34_gpu" and case["ratio"] is not None]
    if not found:
        return []
    (case,) = found
    work = hardware["flops"]["resnet34"]["training"]
    peak = hardware["gpu_bf16"]
    lines = [
        "",
        f"On one {hardware['gpu']}, which multiplies large bf16 matrices at {peak / 1e12:.0f} TFLOP/s:",
    ]
    for what, input_ in (("with faces", "real"), ("with a constant tensor", "constant")):
        speed = case["images_per_second"][input_]
        share = speed * work / peak
        lines += ["", f"- ResNet34 {what}: {speed:,.0f} images/s, {share:.0%} of the peak"]
    return lines


def _profiles(profiles: dict[str, list[tuple[str, float]]]) -> list[str]:
    if not profiles:
        return []
    lines = [
        "",
        "## Where our steps spend their time",
        "",
        "Operators by their own time, under torch's profiler.",
    ]
    for name, operators in profiles.items():
        shares = ", ".join(f"{operator} {share:.0%}" for operator, share in operators)
        lines += ["", f"- `{name}`: {shares}"]
    return lines


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    rule = "|:--" + "|--:" * (len(head) - 1) + "|"
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms"


def _gib(value: int) -> str:
    return f"{value / 2**30:.2f} GiB"
