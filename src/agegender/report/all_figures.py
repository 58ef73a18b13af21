"""Every figure of a run, with its interval, and the faces by labelled and predicted gender."""

from __future__ import annotations

from typing import Any

from agegender.core.types import GENDERS
from agegender.report.figures import BOOTSTRAPPED, FIGURES, cell, judged_part
from agegender.report.page import Block, Table, Text

_WHAT = (
    "A bias of 0 and a slope of 1 are without systematic error; below 1 the old are made younger and the "
    "young older. The skill is the share of the constant predictor's RMSE that the network does away with. "
    "AUROC and Brier score judge P(female), the other figures of gender the answer. docs/metrics.md defines "
    "each."
)


def figure_blocks(figures: dict[str, Any]) -> list[Block]:
    """Of what metrics.json holds; nothing where no part has faces."""
    parts = [part for part in ("test", "val") if figures.get(part)]
    if not parts:
        return []
    headers = ["", *(f"{part} (n = {figures[part]['n']:,})" for part in parts)]
    rows = [
        [label, *(cell(figures[part], name) for part in parts)]
        for name, (label, _) in FIGURES.items()
        if any(figures[part].get(name) is not None for part in parts)
    ]
    bounded = any("age_rmse_low" in figures[part] for part in parts)
    blocks: list[Block] = [Table(headers, rows, BOOTSTRAPPED if bounded else ""), Text(_WHAT)]
    confusion = figures[judged_part(figures)].get("gender_confusion")
    if confusion:
        counts = [[true, *(f"{confusion[true][said]:,}" for said in GENDERS)] for true in GENDERS]
        caption = f"Faces of the {judged_part(figures)} part by labelled gender (rows) and predicted gender."
        blocks.append(Table(["labelled", *(f"predicted {said}" for said in GENDERS)], counts, caption))
    return blocks
