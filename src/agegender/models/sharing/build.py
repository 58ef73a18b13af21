"""The ways to share, by their names in `model.sharing`."""

from __future__ import annotations

from agegender.models.backbone import Backbone
from agegender.models.sharing.hard import Hard
from agegender.models.sharing.mtan import MTAN
from agegender.models.sharing.sharing import Sharing
from agegender.models.sharing.split_last_stage import SplitLastStage

SHARINGS: dict[str, type[Sharing]] = {"hard": Hard, "split_last_stage": SplitLastStage, "mtan": MTAN}


def build_sharing(name: str, backbone: Backbone) -> Sharing:
    """On a backbone that has its weights and its attention."""
    return SHARINGS[name](backbone)
