"""What weights say of their input, in timm's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agegender.core.types import InputSpec


def spec_of(words: Mapping[str, Any], image_size: int | None) -> InputSpec:
    """The input that `input_size` (C, H, W), `mean`, `std`, `interpolation` describe, or of another size."""
    (r, g, b), (sr, sg, sb) = words["mean"], words["std"]
    interpolation = words.get("interpolation")
    return InputSpec(
        image_size or words["input_size"][-1],
        (r, g, b),
        (sr, sg, sb),
        "bicubic" if interpolation == "bicubic" else "bilinear",
    )
