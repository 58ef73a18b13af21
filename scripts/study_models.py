"""Train the runs of docs/models.md and write the page.

python scripts/study_models.py UTKFACE WEIGHTS --output outputs/models --page docs/models.md

One change at a time. First every age head over one short lambda grid, then each head at the lambda that its
own val faces choose, over seeds; then attention, sharing, random weights and two phases against the
reference, which is plain regression. A sweep that is there already is taken up where it stands.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from models_page import page
from study import FIGURE, Sweep, listed

from agegender.core.files import write_text

SETTINGS = (
    "model=efficientnet_lite0", "data=utkface", "data.limit=6000", "data.image_size=96",
    "schedule.phases.all.epochs=4", "schedule.phases.all.lr=5e-4", "schedule.rate=cosine",
    "schedule.warmup_epochs=0.5",
)  # fmt: skip
HEADS = (
    "regression", "classification", "dldl", "mean_variance", "coral", "corn", "bins", "gaussian",
)  # fmt: skip
REFERENCE = "regression"
LAMBDAS = (1, 10, 100, 1000)
SEEDS = (1, 2)
"""Beside 0, which the grid has."""
CHANGES: Mapping[str, tuple[str, ...]] = {
    "cbam": ("attention=cbam",),
    "split_last_stage": ("model.sharing=split_last_stage",),
    "random_weights": ("model.weights=null",),
    "two_phase": (
        "schedule=two_phase", "schedule.phases.heads.epochs=1", "schedule.phases.heads.lr=1e-3",
        "schedule.phases.all.epochs=3", "schedule.phases.all.lr=5e-4",
    ),
}  # fmt: skip
"""Each against the reference, with the same number of epochs."""


def train(root: Path, weights: Path, output: Path) -> tuple[Sweep, list[Sweep], dict[str, Sweep]]:
    """The grid, the heads over seeds (a sweep for each lambda that some heads chose), the changes."""
    settings = (f"data.root={root}", f"model.weights={weights}", *SETTINGS)
    grid = Sweep(output / "heads", (f"age_head={listed(HEADS)}", f"loss.lambda={listed(LAMBDAS)}"))
    chosen = chosen_lambdas(grid.run(settings))
    seeds = []
    for lambda_ in dict.fromkeys(chosen.values()):
        heads = [head for head, value in chosen.items() if value == lambda_]
        lines = (f"age_head={listed(heads)}", f"loss.lambda={lambda_}", f"seed={listed(SEEDS)}")
        seeds.append(Sweep(output / f"seeds_{lambda_}", lines))
        seeds[-1].run(settings)
    changes = {}
    reference = (f"age_head={REFERENCE}", f"loss.lambda={chosen[REFERENCE]}", f"seed={listed((0, *SEEDS))}")
    for name, change in CHANGES.items():
        changes[name] = Sweep(output / name, (*change, *reference))
        changes[name].run([each for each in settings if not _is_set(each, change)])
    return grid, seeds, changes


def _is_set(setting: str, lines: tuple[str, ...]) -> bool:
    """Whether a change gives the key another value."""
    return setting.partition("=")[0] in {line.partition("=")[0] for line in lines}


def chosen_lambdas(table: pd.DataFrame) -> dict[str, str]:
    """Of each head, by the val figure; the smaller one of equals."""
    ordered = table.sort_values([FIGURE, "loss.lambda"], ascending=[False, True])
    best = ordered.drop_duplicates("age_head").set_index("age_head")["loss.lambda"]
    return {head: str(best[head]) for head in HEADS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("root", type=Path, metavar="UTKFACE", help="folder of UTKFace as published")
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="tf_efficientnet_lite0.safetensors")
    parser.add_argument("--output", type=Path, default=Path("outputs/models"))
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    grid, seeds, changes = train(arguments.root, arguments.weights, arguments.output)
    if arguments.page is not None:
        directories = {name: sweep.directory for name, sweep in changes.items()}
        text = page(grid.directory, [sweep.directory for sweep in seeds], directories)
        write_text(arguments.page, text)


if __name__ == "__main__":
    main()
