"""Labels of one photo that disagree: counted, and settled as `split.conflicts` says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.data.manifest import age_interval, rejected_rows


@dataclass(frozen=True)
class Copies:
    """What a set of faces holds more than once; counts of photos unless said otherwise."""

    exact: int
    """File contents that occur more than once."""
    exact_surplus: int
    """Files beyond the first of each content."""
    near: int
    """Photos that occur as files of different content."""
    near_files: int
    """Files of these photos."""
    photos: int
    """Photos of more than one file, identical or not."""
    conflicts: int
    """Those of them whose labels disagree in age or gender."""
    conflicts_age: int
    conflicts_gender: int
    largest: int
    """Files of the photo that has most."""
    clusters: int
    """Clusters of more than one face: copies, or faces of one identity."""
    age_gap_mean: float | None
    """Years between the lowest and the highest age of a photo (0 where its intervals meet), mean over those
    with two or more ages."""


def count_copies(faces: pd.DataFrame) -> Copies:
    """Count over `sha256`, `photo` and the labels of `faces`."""
    contents = faces["sha256"].value_counts()
    by_photo = faces.groupby("photo")["sha256"]
    contents_each = by_photo.nunique()
    near = contents_each > 1
    labels = _labels(faces)
    return Copies(
        exact=int((contents > 1).sum()),
        exact_surplus=int((contents - 1).sum()),
        near=int(near.sum()),
        near_files=int(by_photo.size()[near].sum()),
        photos=int((by_photo.size() > 1).sum()),
        conflicts=int((labels["age"] | labels["gender"]).sum()),
        conflicts_age=int(labels["age"].sum()),
        conflicts_gender=int(labels["gender"].sum()),
        largest=int(by_photo.size().max()) if len(faces) else 0,
        clusters=int((faces["cluster"].value_counts() > 1).sum()),
        age_gap_mean=float(labels["gap"].mean()) if labels["gap"].notna().any() else None,
    )


def in_conflict(faces: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether the labels of each face's photo disagree."""
    labels = _labels(faces)
    return faces["photo"].isin(labels.index[labels["age"] | labels["gender"]]).to_numpy()


def settle(faces: pd.DataFrame, policy: str) -> tuple[npt.NDArray[np.bool_], pd.DataFrame]:
    """The faces to keep, and the others as rejected rows.

    `policy`: keep them all, drop every file of a photo whose labels disagree, or keep the first as listed.
    """
    out = np.zeros(len(faces), bool) if policy == "keep" else in_conflict(faces)
    if policy == "first":
        out = out & faces["photo"].duplicated().to_numpy()
    detail = "photo " + faces.loc[out, "photo"].astype(str) + ": age or gender differ between its files"
    return ~out, rejected_rows(faces[out], "conflicting labels", detail)


def _labels(faces: pd.DataFrame) -> pd.DataFrame:
    """For each photo of several files: do ages differ, do genders differ, and the gap between the ages."""
    several = faces[faces["photo"].duplicated(keep=False)]
    ages = age_interval(several).groupby(several["photo"])
    # two of a photo's intervals have no age in common where one ends below another's beginning
    gap = (ages["low"].max() - ages["high"].min()).clip(lower=0).where(ages["low"].count() > 1)
    genders = several.groupby("photo")["gender"].nunique()  # missing ones do not count
    return pd.DataFrame({"age": gap > 0, "gender": genders > 1, "gap": gap})
