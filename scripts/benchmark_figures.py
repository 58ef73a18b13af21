"""From what both sides of a case measured to its entry in benchmarks.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from benchmark_cases import Case, Size
from benchmark_measured import Measured, warm

from agegender.evaluation.metrics import point_metrics
from agegender.report.repeats import spread

AGES = (0.0, 120.0)
"""Years that an answer is clipped to, as the engine does."""
FIGURES = ("age_rmse", "gender_f1")


@dataclass(frozen=True)
class Pair:
    """Both sides, one right after the other, from the same first weights."""

    naive: Measured
    ours: Measured


def pair_entry(case: Case, size: Size, faces: pd.DataFrame, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Of a case whose sides train; `faces` are those of both, with their parts and labels."""
    sides = {"naive": [pair.naive for pair in pairs], "ours": [pair.ours for pair in pairs]}
    seconds = {side: [_unit(case, size, each) for each in runs] for side, runs in sides.items()}
    ratios = [naive / ours for naive, ours in zip(seconds["naive"], seconds["ours"], strict=True)]
    train, val = ((faces["part"] == part).sum() for part in ("train", "val"))
    steps = len(pairs[0].ours.epochs_steps[0])
    a_unit = (train + val) if case.measure == "epoch" else train / steps
    return {
        **_entry(case, median(seconds["naive"]), median(seconds["ours"]), ratios),
        "faces": {"train": int(train), "val": int(val)},
        "epochs": size.epochs,
        "images_per_second": {side: float(a_unit / median(each)) for side, each in seconds.items()},
        "images_per_second_in_steps": {
            side: float(train / steps / median(run.step() for run in runs)) for side, runs in sides.items()
        },
        "peak_memory": {side: max(run.peak_memory for run in runs) for side, runs in sides.items()},
        "peak_worker_memory": max(run.peak_worker_memory for run in sides["naive"]),
        "passes": max(run.passes or 0.0 for run in sides["ours"]),
        "most_passes": case.most_passes,
        "validation": _validation(faces[faces["part"] == "val"], pairs),
    }


def input_entry(case: Case, measured: Measured) -> dict[str, Any]:
    """Of a run that has real faces in odd epochs, a constant tensor in even ones."""
    real, constant = ([median(warm(steps)) for steps in measured.epochs_steps[first::2]] for first in (0, 1))
    ratios = [one / other for one, other in zip(real, constant, strict=True)]
    batch = measured.train_faces / len(measured.epochs_steps[0])
    return {
        **_entry(case, None, median(real), ratios),
        "constant": median(constant),
        "images_per_second": {"real": batch / median(real), "constant": batch / median(constant)},
        "peak_memory": {"ours": measured.peak_memory},
        "peak_gpu_memory": measured.peak_gpu_memory,
    }


def balancer_entry(case: Case, measured: Measured) -> dict[str, Any]:
    """Of a run whose every second step is balanced."""
    fixed, balanced, ratios = _neighbours(measured)
    share = measured.backward_share
    return {
        **_entry(case, None, balanced, ratios),
        "fixed": fixed,
        "extra_backward_passes": (measured.backward_passes or 1.0) - 1.0,
        "two_passes": None if share is None else 1 + share,
        "peak_memory": {"ours": measured.peak_memory},
    }


def precision_entry(case: Case, measured: Measured) -> dict[str, Any]:
    """Of a run whose every second step is taken under trainer.precision=auto, the others in bf16."""
    bf16, auto, ratios = _neighbours(measured)
    batch = measured.train_faces / len(measured.epochs_steps[0])
    return {
        **_entry(case, bf16, auto, ratios),
        "images_per_second": {"bf16": batch / bf16, "auto": batch / auto},
        "peak_memory": {"ours": measured.peak_memory},
    }


def _neighbours(measured: Measured) -> tuple[float, float, list[float]]:
    """Median seconds of odd and of even steps, and of each epoch the even ones by their neighbours."""
    sides = [[warm(steps)[first::2] for steps in measured.epochs_steps] for first in (0, 1)]
    ratios = [
        median(even / odd for odd, even in zip(*epoch, strict=False)) for epoch in zip(*sides, strict=True)
    ]
    odd, even = (median(seconds for steps in side for seconds in steps) for side in sides)
    return odd, even, ratios


def start_entry(case: Case, size: Size, starts: Sequence[Measured]) -> dict[str, Any]:
    """Of starts with a filled cache; their ratio is the seconds."""
    seconds = [each.seconds for each in starts]
    return {**_entry(case, None, median(seconds), seconds), "faces": {"all": size.faces}}


def absent_entry(case: Case, why: str) -> dict[str, Any]:
    """Of a case that cannot run here."""
    return {**_entry(case, None, None, []), "absent": why}


def is_met(entry: dict[str, Any]) -> bool | None:
    """Whether a case does what is wanted; None where nothing is."""
    ratio, target = entry["ratio"], entry["target"]
    if ratio is None or target is None:
        return None
    most = entry.get("most_passes")
    has_few_passes = most is None or entry["passes"] <= most
    return bool((ratio >= target if entry["bound"] == "at least" else ratio <= target) and has_few_passes)


def _entry(case: Case, naive: float | None, ours: float | None, ratios: list[float]) -> dict[str, Any]:
    return {
        "name": case.name,
        "naive": naive,
        "ours": ours,
        "ratio": median(ratios) if ratios else None,
        "target": case.target,
        "bound": case.bound,
        "what": case.what,
        "measure": case.measure,
        "model": case.model,
        "work": case.work,
        "ratios": ratios,
    }


def _unit(case: Case, size: Size, measured: Measured) -> float:
    return measured.step() if case.measure == "step" else measured.seconds / size.epochs


def _validation(val: pd.DataFrame, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Each figure of both sides, a value a seed, and ours less naive over the seeds."""
    naive, ours = ([_figures(val, getattr(pair, side)) for pair in pairs] for side in ("naive", "ours"))
    table = {}
    for name in FIGURES:
        values = {"naive": [each[name] for each in naive], "ours": [each[name] for each in ours]}
        difference = spread([b - a for a, b in zip(values["naive"], values["ours"], strict=True)])
        table[name] = {**values, "difference": asdict(difference) if difference else None}
    return table


def _figures(val: pd.DataFrame, measured: Measured) -> dict[str, float]:
    figures = point_metrics(
        val[["age", "age"]].to_numpy(np.float64),  # exact
        np.clip(np.array(measured.val_age), *AGES),
        np.asarray(val["gender"] == "female", np.float64),
        np.array(measured.val_female),
        rmse_cap=30.0,
    )
    return {name: float(figures[name] or 0.0) for name in FIGURES}
