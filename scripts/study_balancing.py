"""Train the runs of docs/balancing.md and write the page.

python scripts/study_balancing.py UTKFACE --output outputs/balancing --page docs/balancing.md

Four sweeps, each a command of its own that the page quotes, one after the other, since what a later one
trains follows from the val figures of those before: the lambda grid; the balancers at the best lambda; the
best lambda and the three best balancers over seeds; some balancers at lambdas that are set badly. A sweep
that is there already is taken up where it stands.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from balancing_page import page
from study import FIGURE, Sweep, listed

from agegender.core.files import write_text

SETTINGS = (
    "model=scratch_cnn_v2", "data=utkface", "data.limit=8000", "data.image_size=64",
    "schedule.phases.all.epochs=6", "schedule.rate=cosine", "schedule.warmup_epochs=0.5",
)  # fmt: skip
LAMBDAS = (1, 10, 30, 100, 300, 1000, 3000)
BALANCERS = (
    "uncertainty", "dwa", "gradnorm", "pcgrad", "cagrad", "upgrad", "mgda", "imtl_g", "aligned_mtl", "famo",
    "rlw", "age_only", "gender_only",
)  # fmt: skip
BOUNDS = ("age_only", "gender_only")
SEEDS = (1, 2, 3, 4)
"""Beside 0, which the first two sweeps have."""
BAD_LAMBDAS = (1, 10, 100, 1000)


def train(root: Path, output: Path) -> list[Sweep]:
    """All four sweeps."""
    settings = (f"data.root={root}", *SETTINGS)
    grid = Sweep(output / "lambda", (f"loss.lambda={listed(LAMBDAS)}",))
    table = grid.run(settings)
    best = str(table.sort_values(FIGURE, ascending=False)["loss.lambda"].iloc[0])
    balancers = Sweep(output / "balancers", (f"balancer={listed(BALANCERS)}", f"loss.lambda={best}"))
    table = balancers.run(settings)
    ranked = table[~table["balancer"].isin(BOUNDS)].sort_values(FIGURE, ascending=False)["balancer"]
    finalists = ["fixed", *ranked.head(3)]
    seeds = Sweep(
        output / "seeds",
        (f"balancer={listed(finalists)}", f"loss.lambda={best}", f"seed={listed(SEEDS)}"),
    )
    seeds.run(settings)
    careless = list(dict.fromkeys([ranked.iloc[0], "uncertainty", "pcgrad", "gradnorm"]))[:3]
    lambdas = [value for value in BAD_LAMBDAS if str(value) != best]  # what is trained already
    bad = Sweep(output / "bad_lambda", (f"balancer={listed(careless)}", f"loss.lambda={listed(lambdas)}"))
    bad.run(settings)
    return [grid, balancers, seeds, bad]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("root", type=Path, metavar="UTKFACE", help="folder of UTKFace as published")
    parser.add_argument("--output", type=Path, default=Path("outputs/balancing"))
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    grid, balancers, seeds, bad = (sweep.directory for sweep in train(arguments.root, arguments.output))
    if arguments.page is not None:
        merged, docs = arguments.output / "merged", arguments.page.parent
        write_text(arguments.page, page(grid, balancers, seeds, bad, merged, docs))


if __name__ == "__main__":
    main()
