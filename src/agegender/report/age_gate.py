"""The age gate's tables and its picture, age_gate.json and age_gate.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.core.files import write_csv, write_json
from agegender.data.manifest import age_midpoint
from agegender.evaluation.age_gate import BUFFERS, CHALLENGE, GATES, NEAR, TARGETS, AgeGate, age_gate
from agegender.evaluation.fairness import records
from agegender.evaluation.table import FLOAT_FORMAT
from agegender.report.canvas import COLOURS, GREY, new_grid, save_figure
from agegender.report.page import Block, Figure, Table, Text

_RULES = (
    "Whoever is estimated at the gate's age plus the buffer, or over, passes. FPR: share of the faces below "
    "that age that pass; FNR: share of those of that age or over that do not, and are challenged. In "
    "brackets: 95 % intervals (Clopper-Pearson, over clusters of duplicates). A buffer found on these faces "
    "may do worse on others. Very young children are easy to tell: the years just below the gate say more."
)
_DONE = {True: "pass", False: "challenged"}


def age_gate_blocks(run_dir: Path, judged: pd.DataFrame, options: dict[str, Any]) -> list[Block]:
    """Write the files and the picture; nothing where no age is known.

    `judged` are the predictions of one part, `options` evaluation's.
    """
    if age_midpoint(judged).isna().all():
        return []
    min_group = options.get("min_group", 30)
    found = age_gate(judged, min_group)
    write_csv(found.curve, run_dir / "age_gate.csv", FLOAT_FORMAT)
    content = {"part": judged["split"].iloc[0], "min_group": min_group}
    content |= {"gates": records(found.gates), "challenge_25": records(found.challenge)}
    write_json(run_dir / "age_gate.json", content)
    left_out = found.gates.groupby("gate")["left_out"].first()
    blocks: list[Block] = []
    if found.curve["fpr"].isna().all():
        blocks.append(Text(f"No gate has {min_group} faces below it to judge it by, copies counted once."))
    else:
        _draw(found.curve, run_dir / "plots" / "age_gate.png")
        caption = (
            "Rates of each gate by buffer; bands: 95 % intervals. Dotted: "
            f"{' and '.join(f'{target:.0%}' for target in TARGETS)} of the children."
        )
        alt = "Shares of children that pass and of others that are challenged, against the buffer"
        picture = Figure(run_dir / "plots" / "age_gate.png", caption, alt, wide=True)
        blocks += [_gates(found), picture, _challenge(found, min_group)]
    if left_out.any():
        said = ", ".join(f"{n:,} at {gate}" for gate, n in left_out.items())
        blocks.append(Text(f"Left out, as their labelled interval lies on both sides of the gate: {said}."))
    return blocks


def _gates(found: AgeGate) -> Table:
    rows = []
    for row in found.gates.to_dict("records"):
        is_found = not np.isnan(row["buffer"])
        is_judged = found.curve["fpr"][found.curve["gate"] == row["gate"]].notna().any()
        buffer = f"{row['buffer']:.0f}" if is_found else f"over {BUFFERS[-1]}" if is_judged else "–"
        rates = [_rate(row, name, is_found) for name in ("fpr", "near_fpr", "fnr")]
        counts = [f"{row['n_below']:,}", f"{row['n_above']:,}"]
        rows.append([f"{row['gate']}, {row['rule']}", buffer, *rates, *counts])
    headers = ["gate", "buffer (years)", "FPR", f"FPR, {NEAR} years below", "FNR", "n below", "n from it on"]
    return Table(headers, rows, _RULES)


def _challenge(found: AgeGate, min_group: int) -> Table:
    legal, threshold = CHALLENGE
    rows = [
        [f"{row['faces']}: {_DONE[row['is_child']]}", f"{row['n']:,}", _rate(row, "rate")]
        for row in found.challenge.to_dict("records")
    ]
    caption = (
        f"Challenge {threshold}: whoever is estimated at {threshold} or over passes a gate of {legal} years. "
        f"Too few: fewer than {min_group} faces, copies counted once."
    )
    return Table([f"Challenge {threshold}, labelled age", "n", "share"], rows, caption)


def _rate(row: dict[Any, Any], name: str, is_asked: bool = True) -> str:
    """A share in percent with its interval."""
    if np.isnan(row[name]):
        return "too few" if is_asked else "–"
    share, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{share:.1f}% ({low:.1f}–{high:.1f})"


def _draw(curve: pd.DataFrame, path: Path) -> None:
    figure, axes = new_grid(1, 2, (8, 3.2))
    titles = ("children below the gate that pass", "others that are challenged")
    for axis, name, title in zip(axes, ("fpr", "fnr"), titles, strict=True):
        for gate, colour in zip(GATES, COLOURS, strict=False):
            rows = curve[curve["gate"] == gate]
            if rows[name].notna().any():
                ends = (100 * rows[f"{name}_low"], 100 * rows[f"{name}_high"])
                axis.fill_between(rows["buffer"], *ends, color=colour, alpha=0.15, linewidth=0)
                axis.plot(rows["buffer"], 100 * rows[name], color=colour, label=f"gate of {gate} years")
        axis.set_title(title, fontsize=10)
        axis.set(xlabel="buffer (years)", ylabel="share (%)", ylim=(0, None), xlim=(0, BUFFERS[-1]))
        axis.legend(frameon=False, fontsize=8)
    for target in TARGETS:
        axes[0].axhline(100 * target, color=GREY, linestyle=":", linewidth=1)
    save_figure(figure, path)
