"""Which attention and sharing need feature maps; some backbones say tokens."""

from __future__ import annotations

from agegender.config.options import AttentionOptions, ModelOptions
from agegender.core import registry
from agegender.core.errors import UserError


def check_map(has_map: bool, model: ModelOptions, attention: AttentionOptions) -> None:
    """Raises UserError where something needs feature maps and the backbone has none."""
    if has_map:
        return
    names = registry.names("attention")
    allowed = [name for name in names if not registry.find("attention", name).needs_map]
    if attention.name not in allowed:
        raise UserError(
            f"attention={attention.name} needs feature maps, and model={model.name} says tokens "
            f"(allowed: {', '.join(allowed)})"
        )
    if model.sharing == "mtan":
        raise UserError(
            f"model.sharing=mtan needs feature maps, and model={model.name} says tokens "
            "(allowed: hard, split_last_stage)"
        )
