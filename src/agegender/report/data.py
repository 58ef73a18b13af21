"""What a run's report says about its faces: where they are from, and how honestly they were split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agegender.report.files import read_columns
from agegender.report.page import Block, Details, Facts, Table, Text

_DONE = {
    "keep": "all were kept",
    "drop": "all files of these photos were left out",
    "first": "only the first file of each was kept",
}
_MOST_GROUPS = 20
"""Rows of the balance table for an axis: a data set may name thousands of groups."""
_MANY_COPIES = 25
_TOO_ALIKE = (
    "One photo seems to have very many files. Faces that are cut out on one background, or padded alike, "
    "look more alike to the search than they are: look at duplicates.csv, and raise split.near_duplicates "
    "(or set it to null) where strangers are taken for copies."
)


def is_drawn(config: dict[str, Any], dataset: dict[str, Any]) -> bool:
    """Whether any of the faces are drawn, not photographed."""
    sources = config.get("data", {}).get("sources", {}).values()
    return "synthetic" in {dataset.get("source"), *(source["name"] for source in sources)}


def data_blocks(run_dir: Path, dataset: dict[str, Any], config: dict[str, Any]) -> list[Block]:
    """Source, terms, rows; what the run directory's dataset.json and rejected.csv say."""
    rejected = dataset.get("rejected", {})
    if (run_dir / "rejected.csv").exists():
        reasons = read_columns(run_dir / "rejected.csv", ["reason"])["reason"]
        rejected = reasons.value_counts().to_dict()
    facts = [("rejected", "; ".join(f"{n:,} {reason}" for reason, n in rejected.items()) or "none")]
    if not dataset:
        return [Text("The run ended before its data were split."), Facts(facts if rejected else [])]
    parts = ", ".join(f"{name} {n:,}" for name, n in dataset["parts"].items())
    limit = config.get("data", {}).get("limit")
    limited = f", of which data.limit draws {limit:,}" if limit and limit < dataset["rows"] else ""
    facts = [
        ("source", dataset["source"]),
        ("terms", dataset["terms"]),
        ("rows listed", f"{dataset['rows']:,}{limited}"),
        *facts,
        ("faces used", f"{dataset['used']:,} ({parts})"),
    ]
    if dataset["age_mean"] is not None:
        spread = f"mean {dataset['age_mean']:.1f}, standard deviation {dataset['age_std']:.1f} years"
        facts.append(("age of the faces used", spread))
    return [Facts([*facts, *(("note", note) for note in dataset["notes"])])]


def split_blocks(dataset: dict[str, Any]) -> list[Block]:
    """How the parts were made, what occurs more than once, what leaks, and how even the parts are.

    Runs from before copies were looked for have fewer facts.
    """
    name, how = dataset["split"], dataset.get("split_how")
    facts = [
        ("split", f"{name}: {how}" if name and how else name or "none: all faces are test"),
        ("sha256 of the assignment", dataset["split_sha256"] or "not known: no file was read"),
    ]
    if "copies" in dataset:
        facts += _copies(dataset)
    facts.append(("clusters of copies or of one identity", f"{dataset['clusters']:,}"))
    blocks: list[Block] = [Facts(facts)]
    if dataset.get("copies", {}).get("largest", 0) > _MANY_COPIES:
        blocks.append(Text(_TOO_ALIKE, warning=True))
    if dataset.get("leaks"):
        blocks.append(_leaks(dataset))
    if dataset.get("balance") and len(dataset["parts"]) > 1:
        blocks.append(Details("How even the parts are", [_balance(dataset)]))
    return blocks


def _copies(dataset: dict[str, Any]) -> list[tuple[str, str]]:
    copies, near = dataset["copies"], dataset["near_duplicates"]
    facts = [("identical files", f"{copies['exact']:,} contents, {copies['exact_surplus']:,} surplus files")]
    found = f"{copies['near']:,} photos in {copies['near_files']:,} files, correlation at least {near}"
    facts.append(("near-duplicates", "not looked for" if near is None else found))
    conflict = f"{copies['conflicts']:,} of {copies['photos']:,} photos with several files"
    if copies["conflicts"]:
        conflict += f" ({copies['conflicts_age']:,} in age, {copies['conflicts_gender']:,} in gender)"
        conflict += f"; {_DONE[dataset['conflicts']]} (split.conflicts={dataset['conflicts']})"
    facts.append(("labels disagree", conflict))
    if copies["age_gap_mean"] is not None:
        gap = f"{copies['age_gap_mean']:.1f} years on average, from the lowest to the highest"
        facts.append(("ages given to one photo", gap))
    facts.append(("largest photo", f"{copies['largest']:,} files"))
    return facts


def _leaks(dataset: dict[str, Any]) -> Text:
    leaks = dataset["leaks"]
    if not leaks["clusters"]:
        blind = dataset["near_duplicates"] is None
        found = "identical files were looked for, near-duplicates were not" if blind else "files of one photo"
        people = " and faces of one identity" if dataset.get("identities") else "; identities are not known"
        return Text(f"No leak between the parts ({found}{people}).", warning=blind)
    counts = " and ".join(
        f"{n:,} of {dataset['parts'][part]:,} {part} faces" for part, n in leaks["faces"].items() if n
    )
    seen = f"{counts} are in train as well (the same photo or identity). " if counts else ""
    examples = "; ".join(
        f"{case['id']} ({case['part']}) and {case['train']} (train)" for case in leaks["examples"][:3]
    )
    named = f"For example {examples}. " if examples else ""
    straddle = f"{leaks['clusters']:,} clusters lie in more than one part. "
    return Text(f"Leak: {seen}{straddle}{named}duplicates.csv names them all.", warning=True)


def _balance(dataset: dict[str, Any]) -> Table:
    """Share of each age band, gender and group that every part got."""
    parts = list(dataset["parts"])
    rows = []
    for axis, values in dataset["balance"].items():
        shown = values if axis == "age" else dict(_largest(values))
        for name, counts in shown.items():
            shares = [f"{counts.get(part, 0) / counts['all']:.1%}" for part in parts]
            rows.append([f"{axis} {name}", f"{counts['all']:,}", *shares])
        if len(shown) < len(values):
            rows.append([f"{len(values) - len(shown)} more", "", *("" for _ in parts)])
    whole = [f"{n / dataset['used']:.1%}" for n in dataset["parts"].values()]
    rows.append(["all", f"{dataset['used']:,}", *whole])
    return Table(["", "faces", *parts], rows, "Share of the faces of each row that each part got.")


def _largest(values: dict[str, dict[str, int]]) -> list[tuple[str, dict[str, int]]]:
    """The largest groups, in the order of their names."""
    by_size = sorted(values.items(), key=lambda item: -item[1]["all"])
    return sorted(by_size[:_MOST_GROUPS])
