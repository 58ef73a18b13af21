"""What an evaluation's config.yaml says: what was judged, of which runs, and how they answered."""

from __future__ import annotations

from typing import Any

from agegender.config.inference import EvaluateConfig
from agegender.inference.predictor import Predictor

OF_A_RUN = ("model", "attention", "age_head", "uncertainty")
"""What tells how a run answers."""


def settings_of(config: EvaluateConfig, predictor: Predictor | None = None) -> dict[str, Any]:
    """The settings that were given; of one network its own as well, and the mode that it answers in."""
    given = {name: value for name, value in config.to_dict().items() if value is not None}
    if predictor is None:
        return given
    trained = predictor.checkpoint.config
    own = {name: trained[name] for name in OF_A_RUN if name in trained}
    return {**given, **own, "uncertainty": predictor.mode.to_dict()}
