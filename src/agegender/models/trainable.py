"""What of a network a phase trains: by words, or by patterns over the parameters' names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from agegender.config.schedule import TRAINABLE
from agegender.core.errors import UserError


def trainable_names(
    names: Sequence[str], words: dict[str, set[str]], wanted: str | Sequence[str]
) -> set[str]:
    """The parameters among `names` that `wanted` means: words, or patterns such as backbone.net.layer4.*

    Raises UserError for a pattern that no name matches.
    """
    found: set[str] = set()
    for pattern in [wanted] if isinstance(wanted, str) else wanted:
        matching = words.get(pattern) or {name for name in names if fnmatchcase(name, pattern)}
        if not matching:
            raise UserError(_unmatched(pattern, names))
        found |= matching
    return found


def _unmatched(pattern: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(pattern, [*TRAINABLE, *names], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return (
        f"trainable: no parameter matches {pattern!r}; {hint}(allowed: {', '.join(TRAINABLE)}, or "
        f"patterns over the names of parameters, {names[0]} to {names[-1]}, with * for any characters)"
    )


def rest_where_frozen(module: nn.Module) -> None:
    """Put every layer of a training network whose parameters are all frozen into eval mode.

    Its running statistics then stay what they are.
    """
    for child in module.modules():
        own = list(child.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            child.training = False  # not eval(): what it holds may well be trained
