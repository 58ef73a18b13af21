"""Write docs/results.md from run directories; every figure in it is read or computed here.

python scripts/results.py docs/results.md --lambdas LAMBDA_SWEEP --leak RUN [RUN ...]

LAMBDA_SWEEP varies experiment, loss.lambda and seed; the RUNs differ in split (random, dedup) and seed.
The commands that make them are in the page.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.config.sweep_record import read_record
from agegender.core.files import read_json, read_yaml, write_text
from agegender.data.manifest import age_interval
from agegender.evaluation.age_figures import age_error
from agegender.evaluation.metrics import metrics
from agegender.evaluation.table import read_predictions
from agegender.report.figures import cell
from agegender.report.repeats import spread
from agegender.report.sweep import write_sweep

BOOTSTRAP = 2000
REFERENCE = "50"
"""The published lambda, against which the others are compared seed by seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--lambdas", type=Path, required=True, metavar="LAMBDA_SWEEP")
    parser.add_argument("--leak", type=Path, required=True, metavar="RUN", nargs="+")
    parser.add_argument("--note", default="", help="what else a reader of the page must know")
    arguments = parser.parse_args()
    lines = [
        "# Results on real faces",
        "",
        "Written by `python scripts/results.py docs/results.md --lambdas LAMBDA_SWEEP --leak RUN RUN ...`",
        "from the run directories of the commands below; UTKFACE is the folder of UTKFace as published.",
        *(["", arguments.note] if arguments.note else []),
        *lambdas(arguments.lambdas, arguments.page.parent),
        *leak(arguments.leak),
    ]
    write_text(arguments.page, "\n".join(lines) + "\n")


def lambdas(sweep: Path, docs: Path) -> list[str]:
    """What lambda does to either task: means over seeds, and differences seed by seed."""
    table = write_sweep(sweep)
    done = table[table["status"] == "ok"]
    first = read_json(sweep / str(done["dir"].iloc[0]) / "metrics.json")["test"]
    dataset = read_json(sweep / str(done["dir"].iloc[0]) / "dataset.json")
    lines = [
        "",
        "## What lambda does to either task",
        "",
        *_command(sweep),
        "",
        f"{dataset['used']:,} faces ({_parts(dataset)}), figures of the test part (n = {first['n']}), which "
        "neither training nor the choice of the epoch has seen. The published recipes at a reduced size: "
        f"{_reduced(sweep, done)}. {len(done)} of {len(table)} runs are in. Brackets: 95 % t-intervals of "
        "the mean over the seeds; with so few seeds they are wide. They hold what another seed would change, "
        "not what other faces would: a single run's RMSE is known to about ± "
        f"{(first['age_rmse_high'] - first['age_rmse_low']) / 2:.1f} years, its F1 to about ± "
        f"{(first['gender_f1_high'] - first['gender_f1_low']) / 2:.2f} (bootstrap over the test faces).",
        "",
        "| recipe | lambda | seeds | age RMSE (years) | gender macro F1 | harmonic mean | best epoch |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    for (recipe, value), rows in done.groupby(["experiment", "loss.lambda"], sort=False):
        cells = [
            _mean(rows[f"test_{name}"].tolist(), name) for name in ("age_rmse", "gender_f1", "harmonic_mean")
        ]
        epochs = ", ".join(str(_best_epoch(sweep / str(run))) for run in rows["dir"])
        lines.append(f"| {recipe} | {value} | {len(rows)} | {' | '.join(cells)} | {epochs} |")
    constant = [cell(_constant(first), name) for name in ("age_rmse", "gender_f1", "harmonic_mean")]
    lines.append(f"| constant predictor | | | {' | '.join(constant)} | |")
    lines += ["", *_differences(done)]
    for name in ("age_rmse", "gender_f1"):
        shutil.copyfile(sweep / "plots" / f"{name}.png", docs / f"lambda_{name}.png")
        lines += ["", f"![{name} of the test part against lambda](lambda_{name}.png)"]
    return lines


def _differences(done: pd.DataFrame) -> list[str]:
    lines = [
        f"Against lambda = {REFERENCE}, seed by seed (the same faces, initialisation and order):",
        "",
        "| recipe | lambda | seeds | age RMSE (years) | gender macro F1 |",
        "|:--|--:|--:|--:|--:|",
    ]
    for recipe, rows in done.groupby("experiment", sort=False):
        for value in [value for value in rows["loss.lambda"].unique() if value != REFERENCE]:
            cells: list[str] = []
            count = 0
            for name in ("age_rmse", "gender_f1"):
                of = {
                    which: rows[rows["loss.lambda"] == which].set_index("seed")[f"test_{name}"]
                    for which in (value, REFERENCE)
                }
                gaps = (of[value] - of[REFERENCE]).dropna().tolist()
                cells, count = [*cells, _mean(gaps, name, signed=True)], len(gaps)
            lines.append(f"| {recipe} | {value} | {count} | {' | '.join(cells)} |")
    return lines


@dataclass(frozen=True)
class Subset:
    """Faces of a part that are judged together."""

    name: str
    rows: pd.DataFrame


def leak(runs: Sequence[Path]) -> list[str]:
    """Whether copies in train flatter: faces with a copy against faces without, under either split."""
    lines = [
        "",
        "## Does the leak flatter?",
        "",
        "```sh",
        "agegender-train -m data=utkface data.root=UTKFACE data.image_size=64 schedule.phases.all.epochs=10 "
        "seed=0,1 split=random,dedup experiment=published/model2",
        "```",
        "",
        "Under `random`, some val faces are a copy (or nearly) of a face in train. Under `dedup` no face is; "
        "faces that have a copy lie with it in one part, and show how hard such faces are for a network that "
        "has not seen them. Brackets: 95 % intervals by bootstrap over the clusters of copies.",
        "",
        "| split | seed | faces judged | n | age RMSE (years) | gender macro F1 |",
        "|:--|--:|:--|--:|--:|--:|",
    ]
    gains = []
    for run in runs:
        config = read_yaml(run / "config.yaml")
        split, seed = config["split"]["name"], config["seed"]
        subsets = _subsets(run, split)
        figures = [metrics(subset.rows, bootstrap=BOOTSTRAP) for subset in subsets]
        for subset, found in zip(subsets, figures, strict=True):
            cells = " | ".join(cell(found, name) for name in ("age_rmse", "gender_f1"))
            lines.append(f"| {split} | {seed} | {subset.name} | {found['n']:,} | {cells} |")
        if split == "random":
            gains.append(_gain(seed, subsets))
    return [*lines, "", *gains]


def _subsets(run: Path, split: str) -> list[Subset]:
    predictions = read_predictions(run / "predictions.csv")
    copies = pd.read_csv(run / "duplicates.csv")
    if split == "random":
        val = predictions[predictions["split"] == "val"]
        leaked = val["id"].isin(copies.loc[copies["leak"], "id"])
        return [
            Subset("val, all", val),
            Subset("val, a copy is in train", val[leaked]),
            Subset("val, no copy is in train", val[~leaked]),
        ]
    judged = predictions[predictions["split"].isin(["val", "cal", "test"])]
    has_copy = judged["id"].isin(copies["id"])
    return [
        Subset("test, all", predictions[predictions["split"] == "test"]),
        Subset("val, cal and test, with a copy in the same part", judged[has_copy]),
        Subset("val, cal and test, without a copy", judged[~has_copy]),
    ]


def _gain(seed: Any, subsets: list[Subset]) -> str:
    """By how much the leaked faces lower the reported RMSE and raise F1, with an interval over clusters."""
    everyone, _, clean = subsets
    rng = np.random.default_rng(0)
    clusters, codes = np.unique(everyone.rows["cluster"], return_inverse=True)
    is_clean = everyone.rows["id"].isin(clean.rows["id"]).to_numpy()
    rmse, f1 = [], []
    for _ in range(BOOTSTRAP):
        weight = np.bincount(rng.integers(0, len(clusters), len(clusters)), minlength=len(clusters))[codes]
        rmse.append(_rmse(everyone.rows, weight) - _rmse(everyone.rows, weight * is_clean))
        f1.append(_f1(everyone.rows, weight) - _f1(everyone.rows, weight * is_clean))
    whole = np.ones(len(everyone.rows))
    gain_rmse = _rmse(everyone.rows, whole) - _rmse(everyone.rows, whole * is_clean)
    gain_f1 = _f1(everyone.rows, whole) - _f1(everyone.rows, whole * is_clean)
    return (
        f"Seed {seed}: the leaked faces change the figures reported for `random` by {gain_rmse:+.2f} years "
        f"of RMSE ({_bounds(rmse, 2)}) and {gain_f1:+.4f} of F1 ({_bounds(f1, 4)})."
    )


def _bounds(values: Sequence[float], digits: int) -> str:
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{low:+.{digits}f} to {high:+.{digits}f}"


def _rmse(rows: pd.DataFrame, weight: np.ndarray) -> float:
    error = age_error(age_interval(rows).to_numpy(), rows["age_pred"].to_numpy())
    return float(np.sqrt(np.average(error**2, weights=weight)))


def _f1(rows: pd.DataFrame, weight: np.ndarray) -> float:
    said, is_female = (rows[name].to_numpy() == "female" for name in ("gender_pred", "gender"))
    right = np.bincount(is_female[said == is_female], weight[said == is_female], minlength=2)
    wrong = float(weight[said != is_female].sum())  # each is missed by one class and taken by the other
    return float(np.mean(2 * right / (2 * right + wrong)))


def _mean(values: list[float], name: str, signed: bool = False) -> str:
    found = spread(values)
    if found is None:
        return "–"
    digits = 2 if name == "age_rmse" else 3
    sign = "+" if signed else ""
    text = f"{found.mean:{sign}.{digits}f}"
    if found.low is None or found.high is None:
        return text
    return f"{text} ({found.low:{sign}.{digits}f} to {found.high:{sign}.{digits}f})"


def _constant(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        key.removeprefix("constant_"): value for key, value in figures.items() if key.startswith("constant_")
    }


def _best_epoch(run: Path) -> int:
    history = pd.read_csv(run / "history.csv")
    return int(history["epoch"].iloc[int(history["val_age_rmse"].argmin())])


def _parts(dataset: dict[str, Any]) -> str:
    return ", ".join(f"{part} {count:,}" for part, count in dataset["parts"].items())


def _reduced(sweep: Path, done: pd.DataFrame) -> str:
    config = read_yaml(sweep / str(done["dir"].iloc[0]) / "config.yaml")
    epochs = sum(phase["epochs"] for phase in config["schedule"]["phases"].values())
    return f"{config['data']['image_size']} px instead of 128, {epochs} epochs instead of 30"


def _command(sweep: Path) -> list[str]:
    """The sweep's command without the paths of the machine that ran it."""
    kept = []
    for line in shlex.split(read_record(sweep).command)[1:]:
        key, _, value = line.partition("=")
        if "=" in line and not key.startswith("hydra."):
            kept.append(f"{key}={'UTKFACE' if key == 'data.root' else value}")
    return ["```sh", f"agegender-train -m {' '.join(kept)}", "```"]


if __name__ == "__main__":
    main()
