"""docs/balancing.md from the run directories of its study; every figure in it is read or computed here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
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
from agegender.report.figures import cell, number
from agegender.report.jobs import Jobs
from agegender.report.leaderboard import leaderboard, ranked
from agegender.report.merged import read_merged, write_merged
from agegender.report.tradeoff import hypervolume_of

PLACES = {"data.root": "UTKFACE"}


def page(grid: Path, balancers: Path, seeds: Path, bad: Path, merged: Path, docs: Path) -> str:
    """The four sweeps as a page; pictures go to `docs`."""
    runs = {name: list(trained(path)) for name, path in
            {"grid": grid, "balancers": balancers, "seeds": seeds, "bad": bad}.items()}  # fmt: skip
    dataset = read_json(runs["grid"][0].path / "dataset.json")
    parts = parts_of(runs["grid"][0])
    for folder in (merged, docs):
        folder.mkdir(parents=True, exist_ok=True)
    jobs = write_merged(read_merged([grid, balancers]), merged)
    lines = [
        "# Balancing on real faces",
        "",
        "Written by `python scripts/study_balancing.py UTKFACE --page docs/balancing.md`, which trains what "
        "is missing and reads every figure from run directories. UTKFACE is the folder of UTKFace as "
        "published. "
        "[balancers.md](balancers.md) says what each method does.",
        "",
        f"{dataset['used']:,} faces ({parts}), `split=dedup`; Model 2 at 64 px, six epochs for everybody, "
        "the same faces, order and first weights for all runs of one seed. What is chosen (epoch, lambda, "
        "balancers that go on) is chosen on val; what is reported is the test part, which has been chosen on "
        "by nobody. So few faces and epochs leave networks that have learned little: what follows says which "
        "method gets how far on a small budget, not what any of them reaches in the end.",
        *_grid(runs["grid"], grid),
        *_balancers(runs["grid"], runs["balancers"], balancers, jobs, merged, docs),
        *_seeds(runs, seeds),
        *_bad(runs, bad),
    ]
    return "\n".join(lines) + "\n"


def _grid(runs: Sequence[Trained], sweep: Path) -> list[str]:
    chosen = best(runs)
    rows = []
    for run in sorted(runs, key=lambda run: run.lambda_):
        mark = " (chosen)" if run is chosen else ""
        rows.append(
            [f"{run.lambda_:g}{mark}", number(run.val["harmonic_mean"], 3)]
            + [cell(run.test, name) for name in FIGURES]
            + [_pull(run), *_angle(run)]
        )
    return [
        "",
        "## What lambda does",
        *command(sweep, PLACES),
        *table(
            [
                "lambda",
                "val harmonic mean",
                *headers("test "),
                "age pulls × gender",
                "in conflict",
                "mean cosine",
            ],
            rows,
        ),
        "",
        "One seed; brackets: 95 % bootstrap intervals over the test faces. The last three columns are means "
        "over the steps that were looked at (`balancer.diagnose_every=20`): the norm of the age gradient on "
        "the shared parameters by that of the gender gradient, lambda included; how often the two pointed "
        "against each other; the cosine of the angle between them." + _next(chosen, runs),
    ]


def _next(chosen: Trained, runs: Sequence[Trained]) -> str:
    """How near the second choice comes, and whether the grid may have ended too soon."""
    second = best([run for run in runs if run is not chosen])
    text = (
        f" The grid is coarse: second on val is lambda = {second.lambda_:g}, "
        f"{chosen.val['harmonic_mean'] - second.val['harmonic_mean']:.3f} behind."
    )
    lambdas = sorted(run.lambda_ for run in runs)
    if chosen.lambda_ not in (lambdas[0], lambdas[-1]):
        return text
    end = "largest" if chosen.lambda_ == lambdas[-1] else "smallest"
    return f"{text} The chosen lambda is the grid's {end}: one beyond it may be better still."


def _pull(run: Trained) -> str:
    means = run.history[["shared_grad_age", "shared_grad_gender"]].mean()
    if not means.iloc[1]:
        return "–"
    ratio = means.iloc[0] / means.iloc[1]
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _angle(run: Trained) -> list[str]:
    means = run.history[["grad_conflicts", "grad_cosine"]].mean()
    return [f"{means.iloc[0]:.0%}", f"{means.iloc[1]:+.3f}"]


def _balancers(
    grid: Sequence[Trained], runs: Sequence[Trained], sweep: Path, jobs: Jobs, merged: Path, docs: Path
) -> list[str]:
    settings = ranked(jobs)
    board = leaderboard(jobs, settings)
    shutil.copyfile(merged / "plots" / "pareto.png", docs / "balancing_pareto.png")
    fixed = {run.lambda_ for run in grid}
    of_grid = [each for each in settings if each.balancer == "fixed"]
    area, alone = hypervolume_of(jobs, settings), hypervolume_of(jobs, of_grid)
    return [
        "",
        f"## Every balancer at lambda = {runs[0].lambda_:g}",
        *command(sweep, PLACES),
        *table(board.headers[:-2], [row[:-2] for row in board.rows]),  # speeds: runs shared the processors
        "",
        "With the lambda grid, one seed each; brackets: 95 % bootstrap intervals over the test faces. What a "
        "step costs under each is in [balancer_cost.md](balancer_cost.md).",
        "",
        "![Age score against gender F1](balancing_pareto.png)",
        "",
        "Numbers are places in the table above. `age_only` and `gender_only` are the single-task bounds: "
        "what a task reaches where the shared parameters serve it alone. Hypervolume above the constant "
        f"predictor: {number(area, 4)} for everything, {number(alone, 4)} for the {len(fixed)} fixed "
        "lambdas alone (more settings enclose more, whatever they are).",
    ]


def _seeds(runs: dict[str, list[Trained]], sweep: Path) -> list[str]:
    balancers = list(dict.fromkeys(run.balancer for run in runs["seeds"]))
    lambda_ = runs["seeds"][0].lambda_
    everything = [*runs["grid"], *runs["balancers"], *runs["seeds"]]
    by_name = {
        name: [run for run in everything if run.balancer == name and run.lambda_ == lambda_]
        for name in balancers
    }
    reference = by_name["fixed"]
    rows, ahead, behind = [], [], []
    for name in balancers:
        row = [name, str(len(by_name[name])), *means(by_name[name])]
        if name == "fixed":
            rows.append([*row, "–", "–", "–"])
            continue
        found = differences(by_name[name], reference)
        rows.append([*row, *(difference(found[figure], figure) for figure in FIGURES)])
        judged = found["harmonic_mean"]
        if judged.low is not None and judged.high is not None:
            ahead += [name] if judged.low > 0 else []
            behind += [name] if judged.high < 0 else []
    return [
        "",
        f"## Does anything beat a tuned fixed lambda? ({len(reference)} seeds)",
        *command(sweep, PLACES),
        "with seed 0 from the sweeps above.",
        "",
        *table(["balancer", "seeds", *headers("test "), *headers("− fixed, ")], rows),
        "",
        f"Means over the seeds. Differences to `fixed` at lambda = {lambda_:g}, with 95 % intervals of a "
        f"paired bootstrap over the faces (clusters of duplicates) and the seeds ({BOOTSTRAP:,} draws).",
        "",
        _verdict(ahead, behind, [name for name in balancers if name != "fixed"]),
    ]


def _verdict(ahead: Sequence[str], behind: Sequence[str], names: Sequence[str]) -> str:
    level = [name for name in names if name not in ahead and name not in behind]
    words = []
    if ahead:
        words.append(
            f"Better than the tuned lambda, the interval of the harmonic mean above 0: {_and(ahead)}."
        )
    else:
        words.append("Nothing beats the tuned lambda by an interval of the harmonic mean above 0.")
    if level:
        words.append(f"No difference that the intervals could tell: {_and(level)}.")
    if behind:
        words.append(f"Worse, with an interval below 0: {_and(behind)}.")
    return " ".join(words)


def _bad(runs: dict[str, list[Trained]], sweep: Path) -> list[str]:
    lambdas = sorted({run.lambda_ for run in [*runs["bad"], best(runs["grid"])]})
    everything = [*runs["grid"], *runs["balancers"], *runs["bad"]]
    names = ["fixed", *dict.fromkeys(run.balancer for run in runs["bad"])]
    rows, worst = [], {}
    for name in names:
        found = {run.lambda_: run for run in everything if run.balancer == name and run.seed == 0}
        values = [found[each].test["harmonic_mean"] for each in lambdas if each in found]
        worst[name] = min(values)
        cells = [_both(found[each]) if each in found else "–" for each in lambdas]
        rows.append([name, *cells, number(min(values), 3), number(max(values) - min(values), 3)])
    safest = max(worst, key=lambda name: worst[name])
    return [
        "",
        "## Which is safest when lambda is set badly?",
        *command(sweep, PLACES),
        *table(["balancer", *(f"lambda = {each:g}" for each in lambdas), "worst", "range"], rows),
        "",
        "Harmonic mean on test (age RMSE, gender F1); one seed. `fixed` is the grid above. The highest worst "
        f"value has `{safest}` ({worst[safest]:.3f}; `fixed`: {worst['fixed']:.3f}).",
    ]


def _both(run: Trained) -> str:
    figures = run.test
    return f"{figures['harmonic_mean']:.3f} ({figures['age_rmse']:.2f}, {figures['gender_f1']:.3f})"


def _and(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
