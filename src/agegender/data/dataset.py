"""The front door of the data layer: from options to decoded faces, each in its part."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.config.options import DataOptions, SplitOptions
from agegender.core import registry
from agegender.core.errors import RunError, UserError
from agegender.core.files import write_csv, write_json
from agegender.core.types import PARTS, Interpolation
from agegender.data.duplicates.clusters import NEAR_DUPLICATES, add_clusters
from agegender.data.duplicates.conflicts import Copies, count_copies, settle
from agegender.data.duplicates.leaks import count_leaks, duplicates_table
from agegender.data.interfaces import Source, Split
from agegender.data.limit import limited
from agegender.data.manifest import age_midpoint, join_rejected, said_reasons
from agegender.data.samples.load import Progress, Samples, load_samples
from agegender.data.stratify import balance


def _silent(_what: str, _done: int, _total: int) -> None:
    """No progress is shown."""


class RefusedData(UserError):  # noqa: N818
    """The split cannot be made of the faces that are left; `rejected` says which are not, and why."""

    def __init__(self, message: str, rejected: pd.DataFrame) -> None:
        super().__init__(f"{message}{said_reasons(rejected)}")
        self.rejected = rejected


class UnusableData(RunError):  # noqa: N818
    """A larger share of the rows than `data.max_bad` cannot be used; `rejected` says which and why."""

    def __init__(self, message: str, rejected: pd.DataFrame) -> None:
        super().__init__(message)
        self.rejected = rejected


@dataclass(frozen=True)
class Dataset:
    """Decoded faces with their labels and parts."""

    faces: pd.DataFrame
    """The manifest's columns, and part (of core.types.PARTS), sha256 (of the file), photo and cluster
    (int; see data/duplicates/clusters.py). Row i is sample i."""
    samples: Samples
    rejected: pd.DataFrame
    """REJECTED_COLUMNS: rows left out, and why."""
    terms: str
    notes: tuple[str, ...]
    split_sha256: str
    """sha256 of the sorted lines "<sha256 of the file>,<part>": independent of names and order."""
    source: str
    """Name of the source, `data.name`."""
    split: SplitOptions | None
    how: str
    """How the split was made, in words."""
    copies: Copies
    """What was found more than once, before `split.conflicts` left anything out."""
    duplicates: pd.DataFrame
    """What duplicates.csv holds; those left out are in it, too."""
    rows: int
    """Rows that the source lists, the rejected ones included, before `data.limit`."""

    def part(self, name: str) -> npt.NDArray[np.intp]:
        """Row positions of a part."""
        return np.flatnonzero(self.faces["part"].to_numpy() == name)

    def keep(self, rows: npt.NDArray[np.bool_], note: str | None = None) -> Dataset:
        """The data set of the chosen rows alone, with a note on why."""
        faces = self.faces[rows].reset_index(drop=True)
        return replace(
            self,
            faces=faces,
            samples=self.samples.keep(rows),
            notes=self.notes + ((note,) if note else ()),
            copies=count_copies(faces),
            duplicates=duplicates_table(faces),
            split_sha256=_split_sha256(faces),
        )

    def write(self, run_dir: Path) -> None:
        """Write split.csv, duplicates.csv, rejected.csv and dataset.json."""
        columns = {"id": "id", "path": "path", "part": "split", "sha256": "sha256", "cluster": "cluster"}
        write_csv(self.faces[list(columns)].rename(columns=columns), run_dir / "split.csv")
        write_csv(self.duplicates, run_dir / "duplicates.csv")
        write_rejected(self.rejected, run_dir)
        write_json(run_dir / "dataset.json", self.summary())

    def summary(self) -> dict[str, object]:
        """What dataset.json holds; ages in years, null where no age is known."""
        age = age_midpoint(self.faces).dropna()
        parts = self.faces["part"].value_counts()
        return {
            "source": self.source,
            "terms": self.terms,
            "notes": list(self.notes),
            "rows": self.rows,
            "used": len(self.faces),
            "rejected": {str(k): int(n) for k, n in self.rejected["reason"].value_counts().items()},
            "parts": {name: int(parts[name]) for name in PARTS if name in parts},
            "clusters": self.copies.clusters,
            "copies": asdict(self.copies),
            "split": self.split.name if self.split else None,
            "split_how": self.how,
            "split_sha256": self.split_sha256,
            "near_duplicates": self.split.near_duplicates if self.split else NEAR_DUPLICATES,
            "conflicts": self.split.conflicts if self.split else "keep",
            "identities": bool(self.faces["identity"].notna().any()),
            "leaks": count_leaks(self.faces) if self.split else None,
            "balance": balance(self.faces),
            "age_mean": float(age.mean()) if len(age) else None,
            "age_std": float(age.std(ddof=0)) if len(age) else None,
        }


def load_dataset(
    data: DataOptions,
    split: SplitOptions | None,
    image_size: int,
    progress: Progress = _silent,
    *,
    seed: int = 0,
    interpolation: Interpolation = "bilinear",
) -> Dataset:
    """Read the labels, keep `data.limit` rows, decode every face once, find copies, share the faces out.

    `image_size` is the side of the square images in pixels, `interpolation` how they come to it. Without a
    split (for evaluation) every face is in part "test", and `seed` draws `data.limit`; else `split.seed`
    does. Raises UserError for what the user can mend and UnusableData when more than `data.max_bad` of the
    rows cannot be used.
    """
    source: Source = registry.build("data", data)
    splitter: Split | None = None if split is None else registry.build("split", split)
    manifest = source.read()
    rows = len(manifest.faces) + len(manifest.rejected)
    share = len(manifest.rejected) / rows if rows else 0.0
    _check_bad(share, manifest.rejected, data.max_bad)
    if manifest.faces.empty:
        raise UserError(f"data={data.name}: no usable face in {rows} rows{said_reasons(manifest.rejected)}")

    drawn_with = seed if split is None else split.seed
    faces = limited(source.limited(manifest.faces, drawn_with), data.limit, drawn_with)
    source.prepare_files(faces)
    loaded = load_samples(faces, image_size, data.cache, progress, interpolation)
    rejected = join_rejected([manifest.rejected, loaded.rejected])
    # under a limit, only the kept rows were opened: they stand for all rows that passed `read`
    _check_bad(share + (1 - share) * len(loaded.rejected) / len(faces), rejected, data.max_bad)
    if loaded.faces.empty:
        raise UserError(f"data={data.name}: none of {len(faces)} images can be read{said_reasons(rejected)}")

    faces = loaded.faces
    near = split.near_duplicates if split else NEAR_DUPLICATES
    add_clusters(faces, near, partial(progress, "looking for copies"))
    copies = count_copies(faces)
    kept, conflicting = settle(faces, split.conflicts if split else "keep")
    rejected = join_rejected([rejected, conflicting])
    every = faces
    faces = faces[kept].reset_index(drop=True)
    try:
        faces["part"] = "test" if splitter is None else splitter.assign(faces)
        if split is not None:
            _check_parts(faces["part"], data, split)
    except UserError as error:
        raise RefusedData(str(error), rejected) from error
    every["part"] = pd.Series(faces["part"].to_numpy(), index=every.index[kept])
    return Dataset(
        faces=faces,
        samples=loaded.samples.keep(kept),
        rejected=rejected,
        terms=manifest.terms,
        notes=manifest.notes + (splitter.notes if splitter else ()),
        split_sha256=_split_sha256(faces),
        source=data.name,
        split=split,
        how=splitter.how if splitter else "none: all faces are test",
        copies=copies,
        duplicates=duplicates_table(every),
        rows=rows,
    )


def write_rejected(rejected: pd.DataFrame, run_dir: Path) -> None:
    """Write rejected.csv, also of a run that `UnusableData` ended."""
    write_csv(rejected, run_dir / "rejected.csv")


def _check_bad(share: float, rejected: pd.DataFrame, max_bad: float) -> None:
    if share > max_bad:
        commonest = rejected["reason"].value_counts().index[0]
        first = rejected[rejected["reason"] == commonest].iloc[0]
        raise UnusableData(
            f"{share:.2%} of the rows cannot be used, more than data.max_bad={max_bad:g}"
            f"{said_reasons(rejected)}; e.g. {first['path']}: {first['reason']} {first['detail']}".rstrip(),
            rejected,
        )


def _check_parts(part: pd.Series[str], data: DataOptions, split: SplitOptions) -> None:
    for name in ("train", "val"):
        if not (part == name).any():
            raise UserError(
                f"split={split.name} leaves no face for {name} out of the {len(part)} of data={data.name}"
            )


def _split_sha256(faces: pd.DataFrame) -> str:
    lines = sorted(f"{sha256},{part}" for sha256, part in zip(faces["sha256"], faces["part"], strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
