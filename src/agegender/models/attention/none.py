"""No attention."""

from __future__ import annotations

from typing import Any

from agegender.config.options import AttentionOptions
from agegender.core.registry import register
from agegender.models.attention.attention import Attention
from agegender.models.backbone import Backbone


@register("attention", "none")
class NoAttention(Attention):
    """The backbone stays as it is."""

    class Options(AttentionOptions):
        """No settings."""

    needs_map = False

    @classmethod
    def put_on(cls, options: Any, backbone: Backbone) -> None:
        """Set nothing."""
