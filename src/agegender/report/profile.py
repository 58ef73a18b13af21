"""Where the time of a run went, as `trainer.profile=true` has it written."""

from __future__ import annotations

from pathlib import Path

from agegender.report.files import read_mapping
from agegender.report.page import Block, Table

_MEANING = {
    "data": "reading, augmenting and normalising faces",
    "forward": "network and losses",
    "backward": "gradients",
    "optimizer": "clipping and the step itself",
    "evaluation": "validation after each epoch",
    "checkpoint": "writing last.ckpt",
    "other": "everything else",
}


def profile_blocks(run_dir: Path) -> list[Block]:
    """A table of seconds and shares; nothing for a run without a profile."""
    profile = read_mapping(run_dir / "profile.json")
    if not profile:
        return []
    sections, total = profile["sections"], profile["seconds"]
    rows = [
        [f"{name}: {_MEANING.get(name, '')}", f"{seconds:.2f}", f"{seconds / total:.0%}"]
        for name, seconds in sections.items()
    ]
    caption = f"Training alone: {profile['steps']:,} steps in {total:.1f} s."
    return [Table(["where the time went", "seconds", "share"], rows, caption)]
