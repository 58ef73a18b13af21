"""Clusters that straddle parts: what a split lets the network see in training and then judges it on."""

from __future__ import annotations

from typing import Any

import pandas as pd

from agegender.core.types import PARTS
from agegender.data.duplicates.conflicts import in_conflict

_NAMED = 3


def count_leaks(faces: pd.DataFrame) -> dict[str, Any]:
    """Clusters in more than one part; for val, cal, test the faces whose cluster is in train, too.

    `examples` names a few of them: id, part, and the id of a face of its cluster in train.
    """
    parts_each = faces.groupby("cluster")["part"].nunique()
    train = faces[faces["part"] == "train"].drop_duplicates("cluster").set_index("cluster")["id"]
    leaked = faces[(faces["part"] != "train") & faces["cluster"].isin(train.index)]
    examples = leaked.head(_NAMED)
    return {
        "clusters": int((parts_each > 1).sum()),
        "faces": {part: int((leaked["part"] == part).sum()) for part in PARTS if part in set(faces["part"])},
        "examples": [
            {"id": name, "part": part, "train": train[cluster]}
            for name, part, cluster in zip(examples["id"], examples["part"], examples["cluster"], strict=True)
        ],
    }


def duplicates_table(faces: pd.DataFrame) -> pd.DataFrame:
    """A row for every face that shares its cluster: which one, with which labels, in which part.

    `copy` is exact (an identical file is there), near (another file of the photo is) or identity;
    `conflict`: the labels of its photo disagree; `leak`: its cluster straddles parts; `split` is empty
    where `split.conflicts` left the face out.
    """
    faces = faces.reset_index(drop=True)
    shared = faces["cluster"].duplicated(keep=False)
    table = faces.loc[shared, ["cluster", "photo", "id", "path", "part", "sha256"]]
    table = table.rename(columns={"part": "split"})
    copy = pd.Series("identity", index=faces.index)
    copy[faces["photo"].duplicated(keep=False)] = "near"
    copy[faces["sha256"].duplicated(keep=False)] = "exact"
    table["copy"] = copy[shared]
    for name in ("age", "age_min", "age_max", "gender"):
        table[name] = faces.loc[shared, name]
    table["conflict"] = in_conflict(faces)[shared]
    table["leak"] = faces[shared].groupby("cluster")["part"].transform("nunique") > 1
    return table.sort_values(["cluster", "photo", "sha256", "id"])
