"""What tells a checkpoint whether these are its faces."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd

from agegender.engine.parts import Parts


def _faces_sha256(group: str = "A", **ages: Any) -> str:
    faces = pd.DataFrame({"age": [np.nan] * 2, "age_min": np.nan, "age_max": np.nan}).assign(**ages)
    faces = faces.assign(
        group=group, sha256=["a", "b"], part="train", gender=pd.Series(["male", None], dtype=object)
    )
    dataset = SimpleNamespace(faces=faces, split_sha256="s")
    return Parts.data_sha256(cast("Parts", SimpleNamespace(dataset=dataset)))["faces_sha256"]


def test_exact_and_unknown_ages() -> None:
    lines = "a,train,30.0,male,A\nb,train,nan,None,A"
    assert _faces_sha256(age=[30.0, np.nan]) == hashlib.sha256(lines.encode()).hexdigest()


def test_intervals_of_one_midpoint_are_other_labels() -> None:
    narrow, wide = (_faces_sha256(age_min=25.0 - half, age_max=25.0 + half) for half in (4, 5))
    assert len({narrow, wide, _faces_sha256(age=25.0), _faces_sha256("B", age=25.0)}) == 4
