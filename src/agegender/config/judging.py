"""How predictions are judged, and what their report shows."""

from __future__ import annotations

from pydantic import Field

from agegender.config.options import Options


class EvaluationOptions(Options):
    """How figures are made from predictions."""

    rmse_cap: float = Field(gt=0, le=1000, description="years; age_score = 1 - min(RMSE, cap) / cap")
    bootstrap: int = Field(
        ge=0, le=100_000, description="resamples behind each 95 % interval; 0: no intervals"
    )
    by: list[str] = Field(
        max_length=10,
        description="columns of predictions.csv to compare figures by, beside gender, group and age band",
    )
    min_group: int = Field(
        ge=2, le=1_000_000, description="faces, copies counted once, from which on a cell of them is judged"
    )


class ReportOptions(Options):
    """What a report shows."""

    images: bool = Field(
        description="show a few faces: where the network looks, and the largest errors; drawn ones are "
        "always shown"
    )
