"""What the labels themselves leave open: copies of one photo that were given different ages or genders."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agegender.report.files import read_columns
from agegender.report.page import Block, Facts, Text

_MEANING = (
    "Copies of one photo show one face, so what their labels differ by is noise. No model knows which of the "
    "copies it is asked for: on such photos no RMSE can be lower, and the best MAE and accuracy lie between "
    "the bounds given. This holds where each file was labelled by itself (labels that were copied with the "
    "file make the floor too low) and as far as the search for copies found no strangers alike (they make it "
    "too high); photos that occur several times need not be like the others."
)


def label_noise_blocks(run_dir: Path) -> list[Block]:
    """The floor under the errors, from duplicates.csv; nothing where no photo has two labels."""
    path = run_dir / "duplicates.csv"
    if not path.exists():
        return []
    table = read_columns(path, ["photo", "age", "gender"])
    facts = [*_ages(table.dropna(subset="age")), *_genders(table.dropna(subset="gender"))]
    return [Facts(facts), Text(_MEANING)] if facts else []


def age_noise(labelled: pd.DataFrame) -> tuple[int, float, float] | None:
    """How many photos have several ages; the RMSE floor in years; the mean distance of two of their ages.

    The floor is the standard deviation within photos: the root of the squared distances to their means over
    the degrees of freedom, the within mean square of a one-way analysis of variance. None without photos.
    """
    ages = labelled.groupby("photo")["age"]
    several = ages.transform("size") > 1
    if not several.any():
        return None
    photos = labelled[several].groupby("photo")["age"]
    n = photos.ngroups
    within = float(((labelled["age"] - ages.transform("mean"))[several] ** 2).sum() / (several.sum() - n))
    distance = float(photos.agg(_mean_distance).mean())
    return n, within**0.5, distance


def gender_noise(labelled: pd.DataFrame) -> tuple[int, float] | None:
    """How many photos have several genders given, and how often two of a photo's differ (mean of photos)."""
    female = (labelled["gender"] == "female").groupby(labelled["photo"]).agg(["size", "sum"])
    female = female[female["size"] > 1]
    if female.empty:
        return None
    n, k = female["size"], female["sum"]
    return len(female), float((2 * k * (n - k) / (n * (n - 1))).mean())


def _mean_distance(ages: pd.Series[float]) -> float:
    """Between two of the ages, over all pairs; ages[i] is the older one in 2i - n + 1 pairs more."""
    ordered, n = ages.sort_values().to_numpy(), len(ages)
    return float(sum((2 * i - n + 1) * age for i, age in enumerate(ordered)) / (n * (n - 1) / 2))


def _ages(labelled: pd.DataFrame) -> list[tuple[str, str]]:
    found = age_noise(labelled)
    if found is None:
        return []
    n, floor, distance = found
    return [
        ("photos whose age was given more than once", f"{n:,}"),
        ("floor of the RMSE on them", f"{floor:.2f} years"),
        ("floor of the MAE on them", f"between {distance / 2:.2f} and {distance:.2f} years"),
    ]


def _genders(labelled: pd.DataFrame) -> list[tuple[str, str]]:
    found = gender_noise(labelled)
    if found is None:
        return []
    n, differ = found
    return [
        ("photos whose gender was given more than once", f"{n:,}"),
        ("two of a photo's genders differ", f"{differ:.1%}"),
        ("best accuracy on them", f"between {1 - differ:.1%} and {1 - differ / 2:.1%}"),
    ]
