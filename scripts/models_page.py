"""docs/models.md from the run directories of its study; every figure in it is read or computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from study_page import (
    BOOTSTRAP,
    FIGURES,
    Trained,
    best,
    command,
    difference,
    differences,
    headers,
    means,
    parts_of,
    table,
    trained,
)

from agegender.core.files import read_json
from agegender.report.figures import number

PLACES = {"data.root": "UTKFACE", "model.weights": "WEIGHTS"}
REFERENCE = "regression"
WORDS = {
    "cbam": "`attention=cbam` after every stage, against none",
    "split_last_stage": "`model.sharing=split_last_stage` against `hard`",
    "random_weights": "random weights against ImageNet's",
    "two_phase": "two phases (heads alone for one epoch, all for two) against one of three epochs",
}


def page(
    grid: Path, seeds: Sequence[Path], on_small: Mapping[str, Path], on_pretrained: Mapping[str, Path]
) -> str:
    """Heads, what changes the small network, what changes the pretrained one."""
    runs = [*trained(grid), *(run for sweep in seeds for run in trained(sweep))]
    by_head = _at_chosen(runs)
    small = by_head[REFERENCE]
    (first, pretrained), *others = [(name, list(trained(path))) for name, path in on_pretrained.items()]
    lines = [
        "# Models on real faces",
        "",
        "Written by `python scripts/study_models.py UTKFACE WEIGHTS --page docs/models.md`, which trains "
        "what is missing and reads every figure from run directories. UTKFACE is the folder of UTKFace as "
        "published, WEIGHTS a file of `tf_efficientnet_lite0` pretrained on ImageNet-1k. "
        "[heads.md](heads.md), [attention.md](attention.md) and [backbones.md](backbones.md) say what each "
        "thing is.",
        "",
        "One change at a time, the same faces (`split=dedup`) and the same number of epochs for everybody "
        "within a table. What is chosen (epoch, lambda) is chosen on val; what is reported is the test part, "
        f"as means over {len(small)} seeds. Differences have 95 % intervals of a paired bootstrap over the "
        f"faces (clusters of duplicates) and the seeds ({BOOTSTRAP:,} draws); so few seeds say little about "
        "the spread of the training, and budgets are small: who is ahead here may be behind in the end.",
        "",
        "## Age heads",
        "",
        f"{_about(small[0])}.",
        *_heads(runs, by_head, grid, seeds),
        "",
        "## Attention and sharing",
        "",
        f"The same network; the reference is `{REFERENCE}` at lambda = {small[0].lambda_:g}, as above.",
        *_changes(small, [(name, list(trained(path))) for name, path in on_small.items()], on_small),
        "",
        "## Weights and phases",
        "",
        f"{_about(pretrained[0])}; `{REFERENCE}` at the same lambda.",
        *command(on_pretrained[first], PLACES)[:-1],
        *_changes(pretrained, others, on_pretrained),
    ]
    return "\n".join(lines) + "\n"


def _about(run: Trained) -> str:
    """Network, faces and budget."""
    config = run.config
    used = read_json(run.path / "dataset.json")["used"]
    epochs = sum(phase["epochs"] for phase in config["schedule"]["phases"].values())
    return (
        f"`{config['model']['name']}` at {config['data']['image_size']} px, {epochs} epochs, {used:,} faces "
        f"({parts_of(run)})"
    )


def _head(run: Trained) -> str:
    return str(run.config["age_head"]["name"])


def _at_chosen(runs: Sequence[Trained]) -> dict[str, list[Trained]]:
    """The runs of each head at the lambda that seed 0 has chosen on val."""
    found = {}
    for head in dict.fromkeys(map(_head, runs)):
        own = [run for run in runs if _head(run) == head]
        chosen = best([run for run in own if run.seed == 0]).lambda_
        found[head] = [run for run in own if run.lambda_ == chosen]
    return found


def _heads(
    runs: Sequence[Trained], by_head: Mapping[str, list[Trained]], grid: Path, seeds: Sequence[Path]
) -> list[str]:
    lambdas = sorted({run.lambda_ for run in runs})
    searched = []
    for head, own in by_head.items():
        cells = []
        for lambda_ in lambdas:
            run = next(r for r in runs if _head(r) == head and r.lambda_ == lambda_ and r.seed == 0)
            mark = "**" if lambda_ == own[0].lambda_ else ""
            cells.append(f"{mark}{number(run.val['harmonic_mean'], 3)}{mark}")
        searched.append([f"`{head}`", *cells])
    rows, ahead, behind = [], [], []
    for head, own in by_head.items():
        mae = number(sum(run.test["age_mae"] for run in own) / len(own), 2)
        row = [f"`{head}`", f"{own[0].lambda_:g}", mae, *means(own)]
        if head == REFERENCE:
            rows.append([*row, "–", "–", "–"])
            continue
        found = differences(own, by_head[REFERENCE])
        rows.append([*row, *(difference(found[figure], figure) for figure in FIGURES)])
        judged = found["harmonic_mean"]
        if judged.low is not None and judged.high is not None:
            ahead += [head] if judged.low > 0 else []
            behind += [head] if judged.high < 0 else []
    level = [head for head in by_head if head not in (*ahead, *behind, REFERENCE)]
    return [
        "",
        *command(grid, PLACES),
        "Lambda is chosen for each head by the harmonic mean on val (one seed), as a loss of order 1 is "
        "drowned where years squared are balanced:",
        "",
        *table(["val harmonic mean", *(f"lambda = {each:g}" for each in lambdas)], searched),
        *_edges(by_head, lambdas),
        *(line for sweep in seeds for line in command(sweep, PLACES)[:-1]),
        "",
        "with seed 0 from the grid.",
        "",
        *table(
            ["age head", "lambda", "test age MAE", *headers("test "), *headers(f"− {REFERENCE}, ")],
            rows,
        ),
        "",
        _sentence(ahead, level, behind),
    ]


def _edges(by_head: Mapping[str, list[Trained]], lambdas: Sequence[float]) -> list[str]:
    at_end = [head for head, own in by_head.items() if own[0].lambda_ in (lambdas[0], lambdas[-1])]
    if not at_end:
        return []
    names = ", ".join(f"`{head}`" for head in at_end)
    return ["", f"At an end of the grid, where one beyond it may be better still: {names}."]


def _sentence(ahead: Sequence[str], level: Sequence[str], behind: Sequence[str]) -> str:
    words = []
    for what, heads in (
        (f"Better than `{REFERENCE}`, the interval of the harmonic mean above 0", ahead),
        ("No difference that the intervals could tell", level),
        ("Worse, with an interval below 0", behind),
    ):
        if heads:
            words.append(f"{what}: {', '.join(f'`{head}`' for head in heads)}.")
    return " ".join(words)


def _changes(
    reference: Sequence[Trained],
    changes: Sequence[tuple[str, Sequence[Trained]]],
    sweeps: Mapping[str, Path],
) -> list[str]:
    rows = [["reference", *means(reference), "–", "–", "–"]]
    commands = []
    for name, runs in changes:
        found = differences(runs, reference)
        rows.append([WORDS[name], *means(runs), *(difference(found[figure], figure) for figure in FIGURES)])
        commands += command(sweeps[name], PLACES)[:-1]
    return [*commands, "", *table(["change", *headers("test "), *headers("− reference, ")], rows)]
