"""How figures differ between genders, groups and ages: tables, a picture, fairness.json, fairness.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.core.files import write_csv, write_json
from agegender.evaluation.fairness import OVERALL, Fairness, fairness, records
from agegender.evaluation.table import FLOAT_FORMAT
from agegender.report.canvas import BLUE, GREY, PALE, new_grid, room_for_names, save_figure
from agegender.report.page import Block, Figure, Table, Text

_LABELS = {
    "age_rmse": ("age RMSE (years)", 2),
    "age_mae": ("age MAE (years)", 2),
    "age_bias": ("age bias (years)", 2),
    "age_cs_5": ("age within 5 years", 3),
    "age_coverage": ("coverage", 3),
    "gender_f1": ("gender macro F1", 3),
    "gender_accuracy": ("gender accuracy", 3),
}
_GAPS_SHOWN = ("age_rmse", "age_bias", "age_coverage", "gender_accuracy")
_DRAWN = ("age_rmse", "gender_accuracy")

_SHOWN = 12
"""Cells of an axis in the table and the picture; of a pair of axes _WORST in the picture alone."""
_WORST = 4

_READ = (
    "Groups are labels of the data set, as its annotators gave them, and serve evaluation only. A small gap "
    "is no proof of fairness: it says nothing of people whom the data do not hold, nor of what a use does "
    "with the answers."
)
_CELLS = (
    "In brackets: 95 % intervals, by bootstrap over the clusters of duplicates. Bias: mean of predicted less "
    "labelled age. Within one gender the accuracy is the recall of that gender, and there is no F1. Too few: "
    "fewer than {min_group} faces, copies counted once. All cells, pairs included: fairness.csv."
)
_GAPS = (
    "The worst cell and the one furthest from it, of those with enough faces. Noise alone makes a gap: with "
    "faces like these one below the column noise is to be expected of equal cells in 19 of 20 samples. The "
    "gap's interval is the gap less and plus that noise. Ratio: the lowest figure over the highest. All "
    "figures: fairness.json."
)


def fairness_blocks(run_dir: Path, judged: pd.DataFrame, options: dict[str, Any]) -> list[Block]:
    """Write the files and the picture; `judged` are the predictions of one part, `options` evaluation's.

    Raises UserError for a column in `options` that the predictions do not have.
    """
    min_group = options.get("min_group", 30)
    found = fairness(judged, options.get("by", ()), min_group, options.get("bootstrap", 1000))
    write_csv(found.cells, run_dir / "fairness.csv", FLOAT_FORMAT)
    content = {"part": judged["split"].iloc[0], "min_group": min_group, "notes": found.notes}
    write_json(run_dir / "fairness.json", content | {"gaps": records(found.gaps)})
    blocks: list[Block] = [Text(_READ)]
    if len(found.gaps):
        path = run_dir / "plots" / "fairness.png"
        drawn = [name for name in _DRAWN if found.cells[name].notna().any()]
        _draw(found, drawn, path)
        caption = (
            "Figures of kinds of faces, the worst in age on top, with 95 % intervals; dashed: all faces. "
            f"At most {_SHOWN} cells each, of two at once {_WORST}."
        )
        alt = (
            f"Points with intervals of each kind of face: {' and '.join(_LABELS[name][0] for name in drawn)}"
        )
        blocks += [_gap_table(found), Figure(path, caption, alt, wide=True), _cell_table(found, min_group)]
    else:
        blocks.append(Text(f"There are no two cells of at least {min_group} faces to compare."))
    return [*blocks, *([Text(" ".join(found.notes))] if found.notes else [])]


def _gap_table(found: Fairness) -> Table:
    rows = []
    for gap in found.gaps[found.gaps["figure"].isin(_GAPS_SHOWN)].to_dict("records"):
        label, digits = _LABELS[gap["figure"]]
        ends = [f"{_number(gap[f'{end}_value'], gap['figure'])} {gap[end]}" for end in ("lowest", "highest")]
        if gap["worst"] == gap["highest"]:
            ends.reverse()
        text, noise = f"{gap['gap']:.{digits}f}", "–"
        if not np.isnan(gap["noise"]):
            text += f" ({gap['gap_low']:.{digits}f}–{gap['gap_high']:.{digits}f})"
            noise = f"{gap['noise']:.{digits}f}"
        ratio = "–" if np.isnan(gap["ratio"]) else f"{gap['ratio']:.2f}"
        rows.append([f"{gap['axis']}: {label}", *ends, text, noise, ratio])
    return Table(["", "worst", "furthest from it", "gap", "noise", "ratio"], rows, _GAPS)


def _cell_table(found: Fairness, min_group: int) -> Table:
    names = [name for name in _LABELS if found.cells[name].notna().any()]
    rows = []
    for axis, cells in found.cells.groupby("axis", sort=False):
        if " and " not in str(axis):
            for cell in _shown(cells, _SHOWN).to_dict("records"):
                name = "all faces" if axis == OVERALL else f"{axis}: {cell['cell']}"
                rows.append([name, f"{cell['n']:,}", *(_cell(cell, figure) for figure in names)])
    headers = ["", "n", *(_LABELS[name][0] for name in names)]
    return Table(headers, rows, _CELLS.format(min_group=min_group))


def _shown(cells: pd.DataFrame, most: int) -> pd.DataFrame:
    """All cells of an axis, or its `most` worst in age, else gender."""
    if len(cells) <= most:
        return cells
    return _worst_first(cells).head(most)


def _worst_first(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.sort_values(["age_rmse", "gender_accuracy"], ascending=[False, True], kind="stable")


def _cell(cell: dict[Any, Any], figure: str) -> str:
    if np.isnan(cell[figure]):
        is_one_gender = figure == "gender_f1" and not np.isnan(cell["gender_accuracy"])
        return "–" if is_one_gender else "too few"
    low, high = (cell[f"{figure}_{end}"] for end in ("low", "high"))
    text = _number(cell[figure], figure)
    if np.isnan(low):
        return text
    between = " to " if figure == "age_bias" else "–"
    return f"{text} ({_number(low, figure)}{between}{_number(high, figure)})"


def _number(value: float, figure: str) -> str:
    sign = "+" if figure == "age_bias" else ""
    digits = _LABELS[figure][1]
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def _draw(found: Fairness, drawn: list[str], path: Path) -> None:
    shown: list[dict[Any, Any]] = []
    titles = {}
    for kind, cells in found.cells.groupby("axis", sort=False):
        judged = _worst_first(cells[cells[list(_DRAWN)].notna().any(axis=1)])
        if kind != OVERALL and len(judged) > 1:
            most = _WORST if " and " in str(kind) else _SHOWN
            titles[len(shown)] = f"{kind}, {most} worst" if len(judged) > most else str(kind)
            shown += [{}, *judged.head(most).to_dict("records")]
    places = np.arange(len(shown))
    figure, axes = new_grid(1, len(drawn), (3 + 3 * len(drawn), 0.9 + 0.22 * len(shown)))
    for axis, name in zip(axes, drawn, strict=True):
        columns = (name, f"{name}_low", f"{name}_high")
        value, low, high = np.array([[row.get(column, np.nan) for row in shown] for column in columns])
        bars = (value - low, high - value)
        axis.errorbar(value, places, xerr=bars, fmt="o", color=BLUE, markersize=4, linewidth=1.2)
        axis.axvline(found.cells[name][0], color=GREY, linestyle="--", linewidth=1)
        axis.grid(axis="x", color=PALE, linewidth=0.8)
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
        axis.set(xlabel=_LABELS[name][0], ylim=(len(shown) - 0.4, -0.6), yticks=[])
    labels = [titles.get(i) or f"{row['cell']} (n = {row['n']:,})" for i, row in enumerate(shown)]
    axes[0].set_yticks(places, labels, fontsize=8)
    for i in titles:
        axes[0].get_yticklabels()[i].set_fontweight("bold")
    room_for_names(axes[0])
    save_figure(figure, path)
