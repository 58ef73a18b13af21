"""The published models' figures: orientation beside a run's own."""

from __future__ import annotations

from agegender.report.page import Block, Table, Text

BESIDE: dict[str, tuple[tuple[str, float], ...]] = {
    "age_rmse": (("Model 3", 8.46), ("Model 2", 10.93)),
    "gender_f1": (("Model 3", 0.9157), ("Model 2", 0.8618)),
    "harmonic_mean": (("Model 3", 0.805), ("Model 2", 0.732)),
}
"""By figure; Model 1 is left out, as its RMSE is no RMSE."""

_MODELS = (
    ("Model 1: scratch CNN, 3 convolutions, 128 px", "128.39*", "0.8784", "0"),
    ("Model 2: scratch CNN v2, lambda 50", "10.93", "0.8618", "0.732"),
    ("Model 3: ResNet34", "8.46", "0.9157", "0.805"),
)
_NOTE = (
    "* Probably a mean squared error: its root is 11.33, and answering 0 years to every face of UTKFace "
    "scores 38.8."
)
_OTHER = "For orientation only: these models were trained on other data and scored on another split."


def published_blocks() -> list[Block]:
    headers = ("", "age RMSE (years)", "gender macro F1", "harmonic mean")
    return [Table(headers, _MODELS, _NOTE), Text(_OTHER)]
