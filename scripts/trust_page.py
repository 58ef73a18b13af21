"""docs/trust.md from the run directories of its study; every figure in it is read or computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from study_page import (
    BOOTSTRAP,
    Trained,
    command,
    difference,
    parts_of,
    table,
    trained,
)

from agegender.core.files import read_json
from agegender.data.manifest import age_midpoint
from agegender.evaluation.paired import paired_difference
from agegender.evaluation.table import read_predictions
from agegender.report.figures import number

PLACES = {"data.root": "DIR"}
OLD, YOUNG = 60, 10
"""Years: faces that a collection has few of."""
MODE_FIGURES = {
    "age_rmse": ("age RMSE", 2),
    "gender_f1": ("gender F1", 3),
    "age_crps": ("CRPS", 2),
    "age_coverage_90": ("coverage at 90 %", 3),
    "age_width_90": ("its width", 1),
    "age_aurc": ("age AURC", 2),
    "gender_ece": ("ECE", 3),
    "gender_ece_calibrated": ("ECE calibrated", 3),
    "gender_aurc": ("gender AURC", 4),
}
MODE_WORDS = {
    "mc_dropout": "Monte Carlo dropout (`uncertainty=mc_dropout`)",
    "tta": "test-time augmentation (`uncertainty=tta`)",
}


@dataclass(frozen=True)
class Study:
    """Where everything of the study lies."""

    plain: Path
    fairface: Path
    modes: Mapping[str, Sequence[Path]]
    ensemble: Path
    elsewhere: Path
    ensemble_elsewhere: Path
    remedies: Mapping[str, Path]
    changes: Mapping[str, Sequence[str]]
    other_faces: int


def page(study: Study) -> str:
    """Two data sets, ways to tell uncertainty, other faces, remedies."""
    plain = list(trained(study.plain))
    fairface = next(trained(study.fairface))
    lines = [
        "# Trust, on real faces",
        "",
        "Written by `python scripts/study_trust.py UTKFACE FAIRFACE --page docs/trust.md`, which trains and "
        "judges what is missing and reads every figure from run directories; UTKFACE and FAIRFACE are the "
        "data sets' folders as published. [calibration.md](calibration.md), "
        "[uncertainty.md](uncertainty.md), [fairness.md](fairness.md) and "
        "[remedies.md](remedies.md) say what each thing is.",
        "",
        f"The network is small (`{plain[0].config['model']['name']}`, "
        f"{plain[0].config['data']['image_size']} px, {len(plain[0].history)} epochs), so that everybody can "
        "repeat this in an hour on two CPU cores: its errors are large, and so are the intervals that cover "
        "them. What is compared is compared on the same faces. In brackets stand 95 % intervals: by "
        "bootstrap over the clusters of duplicates, for differences paired and over the seeds as well "
        f"({BOOTSTRAP:,} draws).",
        "",
        "## A run on each data set",
        *command(study.plain, PLACES)[:-1],
        *command(study.fairface, PLACES),
        f"UTKFace, seed 0: {parts_of(plain[0])} faces. FairFace: {parts_of(fairface)} faces; its ages are "
        "intervals, their error is the distance to the interval, and covered is an interval that the "
        "predicted one meets: its figures cannot be held against those of UTKFace.",
        "",
        *_both(plain[0], fairface),
        "",
        "The largest gap between cells of at least 30 photos, and the gap that noise alone would stay below "
        "in 19 of 20 samples of equal cells:",
        "",
        *_gaps({"UTKFace": plain[0].path, "FairFace": fairface.path}),
        "",
        "The age gate at 18 years on UTKFace (FairFace's interval 10–19 lies on both sides of it):",
        "",
        *_gate(plain[0].path),
        "",
        "## Plain, Monte Carlo dropout, test-time augmentation, ensemble",
        "",
        f"UTKFace, the test part; means over the {len(plain)} seeds, the ensemble is of all of them. "
        "Intervals and temperature are fitted on the cal part of each one's own predictions. "
        "The networks were trained without augmentation: crops and mirror images are new to them.",
        "",
        *_modes(study, plain),
        "",
        "## Other faces than those it was calibrated on",
        "",
        f"Trained and calibrated on UTKFace, judged on {study.other_faces:,} faces of FairFace "
        "(`agegender-evaluate run=RUN data=fairface`). Coverage is there the share of labelled "
        "intervals that the predicted one meets, which is more easily done than to hold an exact age; "
        "`whole` is the share of labelled intervals that lie in it, less than the share of ages that do.",
        "",
        *_elsewhere(study, plain[0]),
        "",
        "A promise of coverage holds for faces like the calibration ones; these are not.",
        "",
        "## Against the gap",
        "",
        "Each remedy against plain training, the same faces, epochs and seeds: differences of the test "
        f"figures on all faces and on those that are rare ({_rare(plain[0])}).",
        *(line for name in study.remedies for line in command(study.remedies[name], PLACES)[:-1]),
        "",
        *_remedies(study, plain),
    ]
    return "\n".join(lines) + "\n"


def _cell(figures: Mapping[str, Any], name: str, digits: int) -> str:
    """With its interval."""
    low, high = figures.get(f"{name}_low"), figures.get(f"{name}_high")
    text = number(figures.get(name), digits)
    return text if low is None else f"{text} ({number(low, digits)}–{number(high, digits)})"


def _figures(
    corner: str, names: Mapping[str, tuple[str, int]], columns: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """A row a figure, a column a part of metrics.json."""
    rows = [
        [label, *(_cell(figures, name, digits) for figures in columns.values())]
        for name, (label, digits) in names.items()
    ]
    return table([corner, *columns], rows)


def _both(utkface: Trained, fairface: Trained) -> list[str]:
    names = {
        "age_rmse": ("age RMSE (years)", 2),
        "age_mae": ("age MAE (years)", 2),
        "constant_age_rmse": ("age RMSE of the constant predictor", 2),
        "age_slope": ("slope of predicted on labelled age", 2),
        "gender_f1": ("gender macro F1", 3),
        "gender_auroc": ("gender AUROC", 3),
        "harmonic_mean": ("harmonic mean", 3),
        **{f"age_coverage_{level}": (f"coverage at {level} %", 3) for level in (50, 80, 90, 95)},
        "age_width_90": ("width at 90 % (years)", 1),
        "gender_ece": ("gender ECE", 3),
        "gender_ece_calibrated": ("gender ECE after temperature", 3),
    }
    named = {"UTKFace": utkface, "FairFace": fairface}
    columns = {f"{name} (n = {run.test['n']:,})": run.test for name, run in named.items()}
    return _figures("test", names, columns)


def _gaps(runs: Mapping[str, Path]) -> list[str]:
    rows = []
    for data, path in runs.items():
        for gap in read_json(path / "fairness.json")["gaps"]:
            if gap["axis"] not in ("gender", "group", "age band"):
                continue
            if gap["figure"] not in ("age_mae", "age_bias", "gender_accuracy", "age_coverage"):
                continue
            digits = 2 if gap["figure"] in ("age_mae", "age_bias") else 3
            ends = f"{gap['lowest']} {number(gap['lowest_value'], digits)}, "
            ends += f"{gap['highest']} {number(gap['highest_value'], digits)}"
            name = gap["figure"].replace("_", " ").replace("mae", "MAE")
            found = _cell(gap, "gap", digits), number(gap["noise"], digits)
            rows.append([f"{data}, {gap['axis']}", name, ends, *found])
    return table(["between", "figure", "lowest, highest", "gap", "noise"], rows)


def _gate(path: Path) -> list[str]:
    rows = []
    for gate in read_json(path / "age_gate.json")["gates"]:
        if gate["gate"] != 18:
            continue
        fpr, near, fnr = (
            _cell(gate, name, 3) if gate[name] is not None else "–" for name in ("fpr", "near_fpr", "fnr")
        )
        rows.append([gate["rule"], number(gate["buffer"], 0), fpr, near, fnr])
    head = ["rule", "buffer (years)", "under 18 who pass", "of 13 to 17", "18 and over who are challenged"]
    return table(head, rows)


def _modes(study: Study, plain: Sequence[Trained]) -> list[str]:
    sides: dict[str, list[Path]] = {"plain": [run.path for run in plain]}
    sides |= {MODE_WORDS[mode]: list(paths) for mode, paths in study.modes.items()}
    sides["ensemble (`agegender-evaluate ensemble=[RUN,RUN,RUN]`)"] = [study.ensemble]
    rows = []
    for name, paths in sides.items():
        figures = [read_json(path / "metrics.json")["test"] for path in paths]
        rows.append([name, *(_mean(figures, key, digits) for key, (_, digits) in MODE_FIGURES.items())])
    against = []
    reference = [_test(run.path) for run in plain]
    for name, paths in list(sides.items())[1:]:
        tables = [_test(path) for path in paths]
        tables = tables * (len(reference) // len(tables))
        found = paired_difference(reference, tables, bootstrap=BOOTSTRAP)
        against.append([name, *(difference(found[key], key) for key in ("age_rmse", "gender_f1"))])
    return [
        *table(["", *(label for label, _ in MODE_FIGURES.values())], rows),
        "",
        "Less plain, paired:",
        "",
        *table(["", "age RMSE", "gender F1"], against),
    ]


def _mean(figures: Sequence[Mapping[str, Any]], name: str, digits: int) -> str:
    values = [each[name] for each in figures if each.get(name) is not None]
    return number(sum(values) / len(values), digits) if len(values) == len(figures) else "–"


def _test(path: Path) -> pd.DataFrame:
    predictions = read_predictions(path / "predictions.csv")
    return predictions[predictions["split"] == "test"]


def _elsewhere(study: Study, run: Trained) -> list[str]:
    columns = {
        "one network, on UTKFace": run.test,
        "on FairFace": read_json(study.elsewhere / "metrics.json")["test"],
        "ensemble, on UTKFace": read_json(study.ensemble / "metrics.json")["test"],
        "ensemble, on FairFace": read_json(study.ensemble_elsewhere / "metrics.json")["test"],
    }
    names = {
        "age_rmse": ("age RMSE (years)", 2),
        **{f"age_coverage_{level}": (f"coverage at {level} %", 3) for level in (50, 80, 90, 95)},
        "age_coverage_90_whole": ("whole at 90 %", 3),
        "age_width_90": ("width at 90 % (years)", 1),
        "gender_f1": ("gender macro F1", 3),
        "gender_ece": ("gender ECE", 3),
        "gender_ece_calibrated": ("gender ECE after temperature", 3),
    }
    return _figures("", names, columns)


Faces = Callable[[pd.DataFrame], "pd.Series[bool]"]


def _subsets(run: Trained) -> dict[str, Faces]:
    rarest = _rarest(run)
    return {
        "all": lambda faces: faces["id"].notna(),
        f"under {YOUNG}": lambda faces: age_midpoint(faces) < YOUNG,
        f"{OLD} and older": lambda faces: age_midpoint(faces) >= OLD,
        f"group {rarest}": lambda faces: faces["group"] == rarest,
    }


def _rarest(run: Trained) -> str:
    return str(run.faces()["group"].value_counts().idxmin())


def _rare(run: Trained) -> str:
    """How many test faces they are; the split gives every part the same shares."""
    test = run.faces()
    return "; ".join(
        f"{name}: {int(faces(test).sum())} of {len(test):,} test faces"
        for name, faces in list(_subsets(run).items())[1:]
    )


def _remedies(study: Study, plain: Sequence[Trained]) -> list[str]:
    subsets = _subsets(plain[0])
    rows = []
    reference = [run.faces() for run in plain]
    for name, path in study.remedies.items():
        tables = [run.faces() for run in trained(path)]
        cells: list[str] = []
        for faces in subsets.values():
            sides = [[each[faces(each)] for each in side] for side in (reference, tables)]
            found = paired_difference(sides[0], sides[1], bootstrap=BOOTSTRAP)
            cells += [difference(found[key], key) for key in ("age_rmse", "gender_f1")]
        rows.append([f"`{' '.join(study.changes[name])}`", *cells])
    head = [f"{name}, {figure}" for name in subsets for figure in ("age RMSE", "gender F1")]
    base = ["plain, mean over the seeds", *_levels(reference, subsets.values())]
    return table(["", *head], [base, *rows])


def _levels(tables: Sequence[pd.DataFrame], subsets: Iterable[Faces]) -> list[str]:
    cells = []
    for faces in subsets:
        chosen = [each[faces(each)] for each in tables]
        found = paired_difference(chosen, chosen, bootstrap=0)
        cells += [number(found["age_rmse"].a, 2), number(found["gender_f1"].a, 3)]
    return cells
