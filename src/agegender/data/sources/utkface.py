"""UTKFace (Zhang, Song and Qi, CVPR 2017): the labels are in the file names."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pandas as pd

from agegender.config.options import DataOptions, ExistingDir
from agegender.core.errors import UserError
from agegender.core.registry import register
from agegender.data.interfaces import Source
from agegender.data.manifest import Manifest, build_manifest, rejected_rows

NAME = r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+(?:\.jpe?g)?(?:\.chip)?\.(?:jpe?g|png)"
GENDER_CODES = {"0": "male", "1": "female"}
GROUPS = {"0": "white", "1": "black", "2": "asian", "3": "indian", "4": "others"}
SUFFIXES = (".jpg", ".jpeg", ".png")


@register("data", "utkface")
class UTKFace(Source):
    """A flat folder, or one with subfolders (part1, part2, part3); an id is the path below `root`."""

    class Options(DataOptions):
        root: ExistingDir

    def __init__(self, options: Options) -> None:
        self.options = options

    def read(self) -> Manifest:
        root = self.options.root
        files = _images(root)
        if not files:
            raise UserError(f"data.root={root}: no {', '.join(SUFFIXES)} file here or one folder below")
        raw = pd.DataFrame({"id": files}, dtype=object)
        raw["path"] = str(root) + os.sep + raw["id"]
        name = raw["id"].str.rpartition("/")[2]
        labels = name.str.extract(rf"^{NAME}$", flags=re.ASCII | re.IGNORECASE)
        malformed = labels["age"].isna()
        rejected = rejected_rows(
            raw[malformed], "malformed name", name[malformed] + " is not [age]_[gender]_[race]_[date].jpg"
        )
        raw["age"] = pd.to_numeric(labels["age"])
        raw["gender"] = labels["gender"].map(GENDER_CODES)
        raw["group"] = labels["race"].map(GROUPS)
        return build_manifest(
            raw[~malformed],
            self.options,
            terms="non-commercial research only (UTKFace)",
            rejected=[rejected],
            files_exist=False,  # they were listed a moment ago
        )


def _images(root: Path) -> list[str]:
    """Image files in the folder and one level below, relative to it and sorted; no hidden files."""
    found = []
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                found += [f"{entry.name}/{name}" for name in os.listdir(entry) if _is_image(name)]  # noqa: PTH208
            elif _is_image(entry.name):
                found.append(entry.name)
    return sorted(found)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
