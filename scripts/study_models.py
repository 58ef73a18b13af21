"""Train the runs of docs/models.md and write the page.

python scripts/study_models.py UTKFACE WEIGHTS --output outputs/models --page docs/models.md

One change at a time. First every age head over one short lambda grid, then each head at the lambda that its
own val faces choose, over seeds; then attention and sharing against plain regression; then, on a pretrained
backbone, its weights and phases. A sweep that is there already is taken up where it stands.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from models_page import page
from study import FIGURE, Sweep, listed

from agegender.core.files import write_text

SMALL = (
    "model=scratch_cnn_v2", "data=utkface", "data.limit=8000", "data.image_size=64",
    "schedule.phases.all.epochs=6", "schedule.rate=cosine", "schedule.warmup_epochs=0.5",
)  # fmt: skip
"""Where heads, attention and sharing are compared."""
PRETRAINED = (
    "model=efficientnet_lite0", "data=utkface", "data.limit=4000", "data.image_size=80",
    "schedule.phases.all.epochs=3", "schedule.phases.all.lr=5e-4", "schedule.rate=cosine",
    "schedule.warmup_epochs=0.5",
)  # fmt: skip
"""Where weights and phases are."""
HEADS = (
    "regression", "classification", "dldl", "mean_variance", "coral", "corn", "bins", "gaussian",
)  # fmt: skip
REFERENCE = "regression"
LAMBDAS = (0.1, 1, 10, 100, 1000)
SEEDS = (1, 2)
"""Beside 0, which the grid has."""
ON_SMALL: Mapping[str, tuple[str, ...]] = {
    "cbam": ("attention=cbam",),
    "split_last_stage": ("model.sharing=split_last_stage",),
}
ON_PRETRAINED: Mapping[str, tuple[str, ...]] = {
    "pretrained": (),
    "random_weights": ("model.weights=null",),
    "two_phase": (
        "schedule=two_phase", "schedule.phases.heads.epochs=1", "schedule.phases.heads.lr=1e-3",
        "schedule.phases.all.epochs=2",
    ),
}  # fmt: skip
"""The first is the others' reference; all have the same number of epochs."""


@dataclass(frozen=True)
class Study:
    """The directories of its sweeps."""

    grid: Path
    seeds: list[Path]
    """One for each lambda that some heads have chosen."""
    on_small: dict[str, Path]
    on_pretrained: dict[str, Path]


def train(root: Path, weights: Path, output: Path) -> Study:
    """All sweeps, one after the other."""
    small = (f"data.root={root}", *SMALL)
    grid = Sweep(output / "heads", (f"age_head={listed(HEADS)}", f"loss.lambda={listed(LAMBDAS)}"))
    chosen = chosen_lambdas(grid.run(small))
    seeds = []
    for lambda_ in dict.fromkeys(chosen.values()):
        heads = [head for head, value in chosen.items() if value == lambda_]
        lines = (f"age_head={listed(heads)}", f"loss.lambda={lambda_}", f"seed={listed(SEEDS)}")
        seeds.append(Sweep(output / f"seeds_{lambda_}", lines))
        seeds[-1].run(small)
    reference = (f"age_head={REFERENCE}", f"loss.lambda={chosen[REFERENCE]}", f"seed={listed((0, *SEEDS))}")
    pretrained = (f"data.root={root}", f"model.weights={weights}", *PRETRAINED)
    places = []
    for settings, changes in ((small, ON_SMALL), (pretrained, ON_PRETRAINED)):
        sweeps = {name: Sweep(output / name, (*change, *reference)) for name, change in changes.items()}
        for name, sweep in sweeps.items():
            sweep.run([each for each in settings if not _is_set(each, changes[name])])
        places.append({name: sweep.directory for name, sweep in sweeps.items()})
    return Study(grid.directory, [sweep.directory for sweep in seeds], *places)


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
    study = train(arguments.root, arguments.weights, arguments.output)
    if arguments.page is not None:
        text = page(study.grid, study.seeds, study.on_small, study.on_pretrained)
        write_text(arguments.page, text)


if __name__ == "__main__":
    main()
