"""Words that every room shares: genders, parts of a split, and what a network must be told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

GENDERS = ("female", "male")
"""Class order of the gender head: logit 0 is female, logit 1 male. Files hold the names."""

Interpolation = Literal["bilinear", "bicubic"]
"""How an image is resized."""

PARTS = ("train", "val", "cal", "test")
"""Parts of a split: `cal` is for calibration alone."""


@dataclass(frozen=True)
class InputSpec:
    """How an image becomes a network's input; it belongs to the weights and travels with them.

    `size` is the side in pixels; `mean` and `std` are per RGB channel for values in 0..1.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation = "bilinear"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> InputSpec:
        r, g, b = value["mean"]
        sr, sg, sb = value["std"]
        interpolation = value.get("interpolation", "bilinear")  # older checkpoints have none
        return cls(value["size"], (r, g, b), (sr, sg, sb), interpolation)


@dataclass(frozen=True)
class LabelSpec:
    """What the labels of a training set were, in years; predictions are clipped to its age range.

    `age_mean` and `age_std` come from the training part alone (0 and 1 where no age is known), as do
    `age_quantiles`, its percentiles 0 to 100 (empty where no age is known, or from an earlier version).
    """

    age_min: float
    age_max: float
    age_mean: float
    age_std: float
    age_quantiles: tuple[float, ...] = ()
    genders: tuple[str, ...] = GENDERS

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "age_quantiles": list(self.age_quantiles), "genders": list(self.genders)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> LabelSpec:
        quantiles = tuple(value.get("age_quantiles", ()))
        return cls(**{**value, "age_quantiles": quantiles, "genders": tuple(value["genders"])})
