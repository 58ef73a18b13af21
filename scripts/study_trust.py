"""Train and judge the runs of docs/trust.md and write the page.

python scripts/study_trust.py UTKFACE FAIRFACE --output outputs/trust --page docs/trust.md

A run over seeds on UTKFace, one on FairFace; the same networks judged with each way to tell their
uncertainty, and on the other data set; each remedy against gaps over the same seeds. What is there is kept.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from study import Sweep, listed
from trust_page import Study, page

from agegender.core.files import write_text

SEEDS = (0, 1, 2)
SETTINGS = (
    "model=scratch_cnn_v2", "age_head=gaussian", "loss.lambda=1", "data.limit=8000", "data.image_size=64",
    "schedule.phases.all.epochs=6", "schedule.rate=cosine", "schedule.warmup_epochs=0.5",
)  # fmt: skip
MODES = ("mc_dropout", "tta")
REMEDIES: Mapping[str, tuple[str, ...]] = {
    "age_weights": ("loss.age_weights=sqrt_inverse",),
    "age_sampling": ("trainer.sampling=age",),
    "group_weights": ("loss.group_weights=balanced",),
    "group_sampling": ("trainer.sampling=group",),
    "group_dro": ("loss.group_dro=0.01",),
}
OTHER_FACES = 4000
"""Of FairFace, on which the networks of UTKFace are judged."""


def judged(directory: Path, *arguments: str) -> Path:
    """A directory of agegender-evaluate; Raises CalledProcessError where that fails."""
    if not (directory / "metrics.json").exists():
        print(shlex.join(["agegender-evaluate", *arguments]), flush=True)
        command = [sys.executable, "-m", "agegender.cli.evaluate", *arguments, f"hydra.run.dir={directory}"]
        subprocess.run(command, check=True)
    return directory


def study(utkface: Path, fairface: Path, output: Path) -> Study:
    """Everything, one after the other."""
    on_utkface = ("data=utkface", f"data.root={utkface}", *SETTINGS)
    on_fairface = ("data=fairface", f"data.root={fairface}", *SETTINGS)
    seeds = f"seed={listed(SEEDS)}"
    plain = Sweep(output / "plain", (seeds,))
    plain.run(on_utkface)
    other = Sweep(output / "fairface", ("seed=0",))
    other.run(on_fairface)
    remedies = {name: Sweep(output / name, (*change, seeds)) for name, change in REMEDIES.items()}
    for sweep in remedies.values():
        sweep.run(on_utkface)
    runs = [plain.directory / str(number) for number in range(len(SEEDS))]
    modes = {
        mode: [
            judged(output / f"{mode}_{seed}", f"run={run}", f"uncertainty={mode}")
            for seed, run in zip(SEEDS, runs, strict=True)
        ]
        for mode in MODES
    }
    elsewhere = ("data=fairface", f"data.root={fairface}", f"data.limit={OTHER_FACES}")
    ensemble = f"ensemble=[{listed(runs)}]"
    return Study(
        plain=plain.directory,
        fairface=other.directory,
        modes=modes,
        ensemble=judged(output / "ensemble", ensemble),
        elsewhere=judged(output / "elsewhere", f"run={runs[0]}", *elsewhere),
        ensemble_elsewhere=judged(output / "ensemble_elsewhere", ensemble, *elsewhere),
        remedies={name: sweep.directory for name, sweep in remedies.items()},
        changes=REMEDIES,
        other_faces=OTHER_FACES,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("utkface", type=Path, metavar="UTKFACE", help="folder of UTKFace as published")
    parser.add_argument("fairface", type=Path, metavar="FAIRFACE", help="folder of FairFace as published")
    parser.add_argument("--output", type=Path, default=Path("outputs/trust"))
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    found = study(arguments.utkface, arguments.fairface, arguments.output.absolute())
    if arguments.page is not None:
        write_text(arguments.page, page(found))


if __name__ == "__main__":
    main()
