"""What a report says of uncertainty: intervals, probabilities, and what is gained by not answering."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.core.files import write_json
from agegender.evaluation.calibration import Calibration
from agegender.evaluation.coverage import MIN_FACES, MOST_GROUPS
from agegender.evaluation.uncertainty import Evidence, uncertainty_curves
from agegender.report.figures import BOOTSTRAPPED, cell, number
from agegender.report.page import Block, Figure, Table, Text
from agegender.report.uncertainty_plots import age_uncertainty, gender_uncertainty

UNCERTAINTY = "uncertainty.json"

_PROMISE = (
    "Intervals and temperature rest on the cal part. They keep their promise for faces like those, on "
    "average over them: neither for other photographs and people, nor for each subgroup."
)
_DASHED = "Dashed: what would be perfect; where faces are left out, the mean over all."
_ENDS = ("", "_low", "_high")
_BY = {
    "plain": "the same for all",
    "predicted_age": "by band of predicted ages",
    "group": "by group",
}
_SCORES = {
    "age_nll": ("age: log loss (nats)", 3),
    "age_crps": ("age: CRPS (years)", 2),
    "age_aurc": ("age: area under risk and coverage (years)", 2),
    "age_aurc_excess": ("age: its excess over the best order (years)", 2),
    "gender_ece": ("gender: expected calibration error", 3),
    "gender_ece_calibrated": ("gender: the same, calibrated", 3),
    "gender_nll": ("gender: log loss (nats)", 3),
    "gender_nll_calibrated": ("gender: the same, calibrated", 3),
    "gender_aurc": ("gender: area under risk and coverage", 3),
    "gender_aurc_excess": ("gender: its excess over the best order", 3),
}
"""Figure -> what it is called, and how many digits it is given."""


def uncertainty_blocks(
    run_dir: Path, judged: pd.DataFrame, evidence: Evidence, values: Mapping[str, Any], bootstrap: int
) -> list[Block]:
    """Of the judged part, whose figures are `values`; writes uncertainty.json and up to two pictures."""
    curves = uncertainty_curves(judged, evidence, bootstrap)
    write_json(run_dir / UNCERTAINTY, curves)
    blocks = _calibrated_how(evidence.calibration)
    levels = _levels(evidence, judged, values)
    missing = int(judged["age_low"].isna().sum())
    if levels and missing:
        blocks.append(Text(f"{missing:,} of {len(judged):,} faces have no interval.", warning=True))
    if levels:
        blocks.append(_levels_table(levels))
    scores = [[label, cell(values, key, digits)] for key, (label, digits) in _SCORES.items() if key in values]
    if scores:
        blocks.append(Table(["", "value"], scores, "Of all of these less is better."))
    blocks += _pictures(run_dir, curves, levels)
    if "coverage_by" in curves:
        blocks += _subgroups(curves)
    return blocks


def _calibrated_how(calibration: Calibration | None) -> list[Block]:
    if calibration is None:
        return [Text("Nothing is calibrated: there is no calibration.json, for want of cal faces.")]
    said = []
    if calibration.ages is not None:
        ages = calibration.ages
        errors = "errors in years" if ages.score == "absolute" else "errors in units of age_std"
        said.append(
            f"Ages: conformal intervals of {errors}, {_BY[ages.by]}, from {ages.pooled.n:,} cal faces."
        )
    if calibration.temperature is not None:
        how = "too sure of itself" if calibration.temperature > 1 else "less sure than it may be"
        said.append(
            f"Gender: a temperature of {calibration.temperature:.2f} from {calibration.n_gender:,} cal "
            f"faces, so the network is {how}."
        )
    blocks = [Text(" ".join([*said, _PROMISE]))] if said else []
    return [*blocks, *(Text(note, warning=True) for note in calibration.notes)]


def _levels(evidence: Evidence, judged: pd.DataFrame, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """level, coverage, width and whole, the last three with `_low` and `_high`, as far as they are known."""
    rows = []
    for level in evidence.intervals(judged):
        percent = f"{100 * level:g}"
        if values.get(f"age_coverage_{percent}") is not None:
            keys = {"coverage": f"age_coverage_{percent}", "width": f"age_width_{percent}"}
            keys["whole"] = f"age_coverage_{percent}_whole"
            found = {f"{k}{end}": values.get(f"{key}{end}") for k, key in keys.items() for end in _ENDS}
            rows.append({"level": level} | found)
    return rows


def _levels_table(levels: list[dict[str, Any]]) -> Table:
    has_whole = any(row["whole"] is not None for row in levels)
    headers = ["intervals of level", "ages covered", "mean width (years)"]
    rows = []
    for row in levels:
        line = [f"{100 * row['level']:g} %", cell(row, "coverage", 3), cell(row, "width", 1)]
        rows.append([*line, cell(row, "whole", 3)] if has_whole else line)
    caption = BOOTSTRAPPED
    if has_whole:
        headers.append("whole labels covered")
        caption += (
            " A label that is an interval counts as covered where the two meet, as errors are distances to "
            "it; the last column counts those that are held whole. The share of true ages lies between."
        )
    return Table(headers, rows, caption)


def _pictures(run_dir: Path, curves: Mapping[str, Any], levels: list[dict[str, Any]]) -> list[Block]:
    if curves["n"] < MIN_FACES:
        return [Text(f"Of less than {MIN_FACES} faces no curve is drawn.")]
    blocks: list[Block] = []
    path = run_dir / "plots" / "age_uncertainty.png"
    age_uncertainty(curves, levels, path)
    parts = []
    if levels:
        parts.append("coverage of the intervals, with their mean width in years (y)")
    if "age_calibration" in curves:
        parts.append("the share of ages below each predicted quantile")
    if "age" in curves["risk_coverage"]:
        parts.append("the mean error when the network may leave out the faces it is least sure of")
    if parts:
        caption = f"Age: {'; '.join(parts)}. {_DASHED}"
        blocks.append(Figure(path, caption, f"Curves of age: {', '.join(parts)}", wide=len(parts) > 1))
    if "gender_reliability" in curves:
        path = run_dir / "plots" / "gender_uncertainty.png"
        gender_uncertainty(curves, path)
        caption = (
            "Gender: how often it is right at each confidence; faces by confidence; the error rate when the "
            f"network may leave out the faces it is least sure of. {_DASHED}"
        )
        alt = "Curves of gender: accuracy by confidence, number of faces, error rate by share of faces"
        blocks.append(Figure(path, caption, alt, wide=True))
    return blocks


def _subgroups(curves: Mapping[str, Any]) -> list[Block]:
    """Coverage by labelled age, gender and group, and where it is below the level by more than chance."""
    rows, short = [], []
    for axis, lines in curves["coverage_by"].items():
        for line in lines:
            figures = ["too few", "–"]
            if line["n"] >= MIN_FACES:
                figures = [cell(line, "coverage", 3), cell(line, "width", 1)]
                if line["coverage_high"] is not None and line["coverage_high"] < curves["level"]:
                    short.append(f"{axis} {line['name']} ({line['coverage']:.0%})")
            rows.append([f"{axis} {line['name']}", f"{line['n']:,}", *figures])
    caption = (
        f"Intervals of level {number(100 * curves['level'], 0)} % by labelled age, gender and group. Below "
        f"{MIN_FACES} faces nothing is told."
    )
    if len(curves["coverage_by"]["group"]) == MOST_GROUPS:
        caption += f" Of the groups these are the {MOST_GROUPS} largest."
    blocks: list[Block] = [Table(["", "faces", "ages covered", "mean width (years)"], rows, caption)]
    if short:
        blocks.append(Text(f"Less is covered than the level says: {', '.join(short)}.", warning=True))
    return blocks
