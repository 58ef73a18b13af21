"""Batches of an epoch as one process without accumulation sees them."""

from __future__ import annotations

from typing import Any

from agegender.data.batches import Batch, Batches


def shuffled(batches: Batches, *arguments: Any, **more: Any) -> list[Batch]:
    """The batches of an epoch whose steps have one part each."""
    steps = list(batches.shuffled(*arguments, **more))
    assert all(len(step.parts) == 1 for step in steps)
    return [part for step in steps for part in step.parts if part is not None]
