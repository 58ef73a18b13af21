"""Bases of every component's `Options`: strict types, bounds, no unknown key.

Defaults live in `conf/*.yaml` alone, so that what `--cfg job` prints is the whole truth; a key
without a default here must therefore be in the YAML.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator


class Options(BaseModel):
    """Strict and frozen: `"3"` is no int, `true` no number, an unknown key no key."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_by_name=True
    )

    def to_dict(self) -> dict[str, Any]:
        """Plain data under the names that users type (`lambda`, not `lambda_`)."""
        return self.model_dump(by_alias=True, mode="json")


def _expand(value: Any) -> Any:
    if isinstance(value, str | Path) and str(value):
        return Path(value).expanduser().absolute()
    raise ValueError("must be a path")


def _existing_dir(value: Any) -> Path:
    path: Path = _expand(value)
    if not path.is_dir():
        raise ValueError("no such folder" if not path.exists() else "is not a folder")
    return path


def _existing_file(value: Any) -> Path:
    path: Path = _expand(value)
    if not path.is_file():
        raise ValueError("no such file" if not path.exists() else "is not a file")
    return path


def _existing_path(value: Any) -> Path:
    path: Path = _expand(value)
    if not path.exists():
        raise ValueError("no such file or folder")
    return path


_as_text = PlainSerializer(str, return_type=str)
AnyPath = Annotated[Path, BeforeValidator(_expand), _as_text]
ExistingDir = Annotated[Path, BeforeValidator(_existing_dir), _as_text]
ExistingPath = Annotated[Path, BeforeValidator(_existing_path), _as_text]
ExistingFile = Annotated[Path, BeforeValidator(_existing_file), _as_text]


HUB_PREFIX = "hf-hub:"
"""What stands in front of OWNER/NAME of weights on the Hugging Face hub."""


def _weights(value: Any) -> str | Path | None:
    if value is None or value == "imagenet":
        return "imagenet" if value else None
    if isinstance(value, str) and value.startswith(HUB_PREFIX):
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", value.removeprefix(HUB_PREFIX)):
            raise ValueError(f"must be {HUB_PREFIX}OWNER/NAME")
        return value
    try:
        return _existing_file(value)
    except ValueError as error:
        raise ValueError(f"{error} (allowed: null, imagenet, {HUB_PREFIX}OWNER/NAME, or a file)") from None


Weights = Annotated[
    str | Path | None,
    BeforeValidator(_weights),
    PlainSerializer(lambda value: None if value is None else str(value)),
]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Component(Options):
    """Settings of anything found in the registry; `name` says which component they belong to."""

    name: str


class DataOptions(Component):
    """Settings that every data source shares."""

    limit: int | None = Field(
        ge=1, description="keep this many rows, drawn with split.seed before any image is opened"
    )
    image_size: int | None = Field(
        ge=8, le=1024, description="side in pixels; null: what the model's weights expect"
    )
    cache: Literal["disk", "memory", "none"] = Field(
        description="decoded faces are kept on disk (shared by runs), in memory, or decoded at each use"
    )
    max_bad: Fraction = Field(description="end the run when a larger share of the rows cannot be used")
    age_min: float = Field(ge=0, le=150, description="years; a row below is rejected")
    age_max: float = Field(ge=0, le=150, description="years; a row above is rejected")

    @model_validator(mode="after")
    def _range_rises(self) -> Self:
        if self.age_min >= self.age_max:
            raise ValueError(f"data.age_min={self.age_min:g} must be below data.age_max={self.age_max:g}")
        return self


class SplitOptions(Component):
    """Settings that every split shares."""

    seed: int = Field(ge=0, le=2**32 - 1, description="draws data.limit and the split; not the training")
    near_duplicates: float | None = Field(
        ge=0.8,
        le=1,
        description="correlation of small grey images from which two files show one photo; null: never",
    )
    conflicts: Literal["keep", "drop", "first"] = Field(
        description="photos whose labels disagree: keep, drop all their files, or keep the first as listed"
    )


class ModelOptions(Component):
    """Settings that every backbone shares."""

    min_image_size: ClassVar[int] = 8
    patch_size: ClassVar[int] = 1
    """What the side of an image must be a multiple of."""

    weights: Weights = Field(description="null, imagenet, hf-hub:OWNER/NAME, or a file")
    sharing: Literal["hard", "split_last_stage", "mtan"] = Field(
        description="hard: both tasks read the same features; split_last_stage: each has a last stage of its "
        "own; mtan: each has its own attention over the stages"
    )


class AttentionOptions(Component):
    """Settings that every attention shares."""


class AgeHeadOptions(Component):
    """Settings that every age head shares."""


class GridHeadOptions(AgeHeadOptions):
    """Settings of every age head that gives a probability to each whole year."""

    age_range: list[Annotated[float, Field(ge=0, le=150)]] | None = Field(
        min_length=2,
        max_length=2,
        description="[low, high] in years, between which each gets a probability; null: data.age_min to "
        "data.age_max",
    )
    decode: Literal["mean", "median"] = Field(
        description="the posterior's mean, best for the RMSE, or its median, best for the MAE"
    )

    @model_validator(mode="after")
    def _range_rises(self) -> Self:
        if self.age_range is not None and self.age_range[0] >= self.age_range[1]:
            low, high = self.age_range
            raise ValueError(f"age_range=[{low:g}, {high:g}]: the first must be below the second")
        return self


class BalancerOptions(Component):
    """Settings that every balancer shares."""

    diagnose_every: int | None = Field(
        ge=1,
        le=1_000_000,
        description="steps between two looks at each task's own gradient on the shared parameters, each at "
        "the cost of another backward pass; null: never",
    )


class UncertaintyOptions(Component):
    """Settings that every way to predict shares; the intervals rest on the cal part alone."""

    intervals: Literal["plain", "predicted_age", "group"] | None = Field(
        description="conformal intervals of ages: one width for all, one a band of predicted ages, one a "
        "group (where the group is known at prediction); null: none"
    )
    score: Literal["auto", "absolute", "scaled"] = Field(
        description="what intervals are made of: errors in years, or errors in units of age_std, which gives "
        "each face a width of its own; auto: scaled where every cal face has an age_std"
    )
    level: float = Field(ge=0.5, le=0.99, description="share of faces that age_low to age_high shall hold")
