"""An estimated age as a gate: who below a legal age passes, who above it is challenged.

Laid out after NIST's Face Analysis Technology Evaluation: Age Estimation and Verification (NIST IR 8525,
2024): a false positive is a person below the legal age who is estimated at or over the threshold, a false
negative one of the legal age or over who is estimated below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.data.manifest import age_interval
from agegender.evaluation.bootstrap import Floats, clusters_of
from agegender.evaluation.proportion import clopper_pearson

GATES = (13, 16, 18)
"""Legal ages in years."""
BUFFERS = np.arange(31)
"""Years between the legal age and the threshold."""
TARGETS = (0.05, 0.01)
"""False positive rates that a buffer is looked for."""
NEAR = 5
"""Years below a legal age that are looked at on their own."""
CHALLENGE = (18, 25)
"""Legal age and threshold of Challenge 25."""

_MOST_GROUPS = 20
"""Groups listed for Challenge 25: those with the most faces."""

_CURVE = ("gate", "buffer", "fpr", "fpr_low", "fpr_high", "fnr", "fnr_low", "fnr_high")


@dataclass(frozen=True)
class AgeGate:
    """Rates from 0 to 1 with Clopper-Pearson intervals; NaN where there are too few faces."""

    curve: pd.DataFrame
    """A row a gate and buffer: gate, buffer, fpr, fnr, each with `_low` and `_high`."""
    gates: pd.DataFrame
    """A row a gate and rule (no buffer, fpr below a target): n_below, n_above, left_out, buffer, fpr, fnr and
    `near_fpr`, that of the n_near faces of the NEAR years below the gate. The buffer is NaN where none of
    BUFFERS is enough."""
    challenge: pd.DataFrame
    """Challenge 25, a row a kind of face: faces, n, is_child, `rate` (of children that of passing, of adults
    that of being challenged)."""


def age_gate(table: pd.DataFrame, min_group: int = 30) -> AgeGate:
    """False positive and false negative rates of the gates, by buffer, and those of Challenge 25.

    At a gate of T years with a buffer of b, whoever is estimated at T + b or over passes. `fpr` is the share
    of the faces below T that pass, `fnr` the share of those of T or over that do not. A face whose age is an
    interval counts where all of it is on one side. Intervals are exact 95 % ones of a binomial whose trials
    are the clusters of faces; with fewer of them than `min_group` there is no rate.
    """
    judge = _Judge(table, min_group)
    curves = [judge.curve(gate) for gate in GATES]
    rows = [row for gate, curve in zip(GATES, curves, strict=True) for row in judge.rules(gate, curve)]
    return AgeGate(pd.concat(curves, ignore_index=True), pd.DataFrame(rows), judge.challenge())


class _Judge:
    def __init__(self, table: pd.DataFrame, min_group: int) -> None:
        self.table, self.min_group = table, min_group
        self.predicted_N = table["age_pred"].to_numpy(np.float64)
        self.low_N, self.high_N = age_interval(table).to_numpy(np.float64).T
        self.clusters_N = clusters_of(table)

    def rate(
        self, faces_N: npt.NDArray[np.bool_], thresholds_T: npt.ArrayLike, passes: bool
    ) -> dict[str, Floats]:
        """How many of `faces_N` pass, or do not, at each threshold: rate, low and high."""
        thresholds_T = np.atleast_1d(thresholds_T)
        trials = len(np.unique(self.clusters_N[faces_N]))
        if trials < self.min_group:
            nothing = np.full(len(thresholds_T), np.nan)
            return {"": nothing, "_low": nothing, "_high": nothing}
        passed_T = (self.predicted_N[faces_N, None] >= thresholds_T).mean(axis=0)
        share_T = passed_T if passes else 1 - passed_T
        low_T, high_T = clopper_pearson(share_T, trials)
        return {"": share_T, "_low": low_T, "_high": high_T}

    def aged(self, first: int, last: int | None = None) -> npt.NDArray[np.bool_]:
        """Faces that surely are `first` to `last` years old, the whole of the last one included."""
        aged_N: npt.NDArray[np.bool_] = self.low_N >= first
        return aged_N if last is None else aged_N & (self.high_N < last + 1)

    def curve(self, gate: int) -> pd.DataFrame:
        fpr = self.rate(self.aged(0, gate - 1), gate + BUFFERS, passes=True)
        fnr = self.rate(self.aged(gate), gate + BUFFERS, passes=False)
        rates = {f"fpr{end}": v for end, v in fpr.items()} | {f"fnr{end}": v for end, v in fnr.items()}
        return pd.DataFrame({"gate": gate, "buffer": BUFFERS, **rates}, columns=list(_CURVE))

    def rules(self, gate: int, curve: pd.DataFrame) -> list[dict[str, Any]]:
        below, above, near = self.aged(0, gate - 1), self.aged(gate), self.aged(gate - NEAR, gate - 1)
        counts = {
            "n_below": int(below.sum()),
            "n_above": int(above.sum()),
            "left_out": int((~np.isnan(self.low_N) & ~below & ~above).sum()),
            "n_near": int(near.sum()),
        }
        rows = []
        for target in (None, *TARGETS):
            enough = curve.index if target is None else curve.index[curve["fpr"] < target]
            rule = "no buffer" if target is None else f"FPR below {target:.0%}"
            row: dict[str, Any] = {"gate": gate, "rule": rule, **counts}
            if len(enough):
                chosen = curve.loc[enough[0]]
                of_near = self.rate(near, gate + chosen["buffer"], passes=True)
                row |= chosen.drop("gate").to_dict() | {f"near_fpr{end}": v[0] for end, v in of_near.items()}
            rows.append(row)
        return rows

    def challenge(self) -> pd.DataFrame:
        legal, threshold = CHALLENGE
        children, years = self.aged(legal - NEAR, legal - 1), range(legal - NEAR, legal)
        name = f"{legal - NEAR} to {legal - 1}"
        kinds = [(name, children, True)]
        kinds += [(str(year), self.aged(year, year), True) for year in years]
        for column in ("gender", "group"):
            counts = self.table.loc[children, column].value_counts()
            for value in sorted(counts.index[:_MOST_GROUPS]):
                kinds.append((f"{name}, {value}", children & (self.table[column] == value).to_numpy(), True))
        kinds.append((f"{legal} to {threshold - 1}", self.aged(legal, threshold - 1), False))
        kinds.append((f"{threshold} and over", self.aged(threshold), False))
        rows = []
        for faces, chosen_N, is_child in kinds:
            rate = {f"rate{end}": v[0] for end, v in self.rate(chosen_N, threshold, is_child).items()}
            rows.append({"faces": faces, "n": int(chosen_N.sum()), "is_child": is_child, **rate})
        return pd.DataFrame(rows)
