"""What `measure_scale.py` measured, as a Markdown page."""

from __future__ import annotations

import os
from typing import Any

from scale_stages import COPIES, READ_FACES, STAGES, START, STEPS, VAL_FACES

from agegender.data.duplicates.fingerprint import VIEWS

_BEFORE = (START, *(name for _, _, name in STAGES))
"""What comes before the first step."""


def page(document: dict[str, Any]) -> str:
    """Figures of every number of rows, and what grows with it."""
    sizes = document["sizes"]
    lines = [
        "# Many faces",
        "",
        f"Written by `{document['command']}`. {document['machine']}",
        "",
        *_made(document),
        *_seconds(sizes),
        *_memory(sizes),
        *_training(sizes),
        *_copies(sizes),
    ]
    return "\n".join(lines) + "\n"


def _made(document: dict[str, Any]) -> list[str]:
    largest, side, size = document["sizes"][-1], document["file_side"], document["size"]
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [
        "What is made, and what is real:",
        "",
        f"- Files: {largest['rows']:,} JPEG files of {side} px, each of another content. They show "
        f"{document['drawn']} drawn faces; a number behind the end of each JPEG makes them different. They "
        "had just been written, so that the page cache held some.",
        f"- Store: the program hashed every file, decoded it to {size} px and wrote it. The largest store "
        f"has {largest['store'] / 2**30:.1f} GiB, {largest['on_disk'] / 2**30:.1f} GiB of blocks on disk "
        f"(it is not sparse), the machine {ram / 2**30:.1f} GiB of memory.",
        "- Settings: `data=csv split.near_duplicates=null model=scratch_cnn_v2 augment=published "
        f"trainer.max_steps={document['steps']}`, all else as it comes. Near-duplicates are left out, as all "
        "these faces have some; the search for them is measured on its own below.",
        f"- Left out: validation beyond {VAL_FACES} faces, predictions, the report.",
        "- Each number of rows has processes of its own: a first run, then a second one on the same faces.",
    ]


def _seconds(sizes: list[dict[str, Any]]) -> list[str]:
    runs = [size[run] for run in ("first", "second") for size in sizes]
    rows = [[name, *(_spent([_stage(run, name)]) for run in runs)] for name in _BEFORE]
    before = [[stage for stage in run["stages"] if stage["name"] != STEPS] for run in runs]
    rows.append(["until the first step", *map(_spent, before)])
    rows.append([STEPS, *(_spent([_stage(run, STEPS)]) for run in runs)])
    heads = [f"{size['rows']:,}{mark}" for mark in ("", ", again") for size in sizes]
    return [
        "",
        "## Seconds",
        "",
        "By the clock; in brackets those of the processors, all threads together, which depend less on what "
        "else the machine does.",
        "",
        *_table(["", *heads], rows),
    ]


def _memory(sizes: list[dict[str, Any]]) -> list[str]:
    rows = [
        ["before the first of them", *(_mebibytes(size["first"]["start"]) for size in sizes), ""],
        *(
            [
                name,
                *(_mebibytes(_stage(size["first"], name)["anon"]) for size in sizes),
                f"{_grown(sizes, name):,.0f}",
            ]
            for name in (*_BEFORE, STEPS)
        ),
        ["pages of mapped files, at most", *(_mebibytes(_mapped(size)) for size in sizes), ""],
        ["peak of both together (VmHWM)", *(_mebibytes(size["first"]["peak"]) for size in sizes), ""],
    ]
    heads = ["the most in each stage, MiB", *(f"{size['rows']:,}" for size in sizes), "bytes a row"]
    most = max(_grown(sizes, name) for name in (*_BEFORE, STEPS))
    pixels = sizes[-1]["store"] // sizes[-1]["rows"]
    return [
        "",
        "## Memory",
        "",
        "Anonymous memory (RssAnon, looked at every 20 ms) of the first run; what a stage has taken may stay "
        "with the process. Pages of mapped files are the store and the libraries: the kernel takes them back "
        "when it needs room. The last column compares the two largest numbers.",
        "",
        *_table(heads, rows),
        "",
        f"So a face more costs up to {most:,.0f} bytes of memory, for its labels, path and hash; its pixels "
        f"({pixels:,} bytes) stay on the disk.",
    ]


def _training(sizes: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            f"{size['rows']:,}",
            f"{size['store'] / 2**30:.2f} GiB",
            f"{size['load']:.1f}",
            f"{size['first']['images_per_second']:.0f}",
            f"{size['second']['images_per_second']:.0f}",
            f"{size['reads']['images_per_second']:,.0f}",
        ]
        for size in sizes
    ]
    heads = [
        "faces",
        "store",
        "load before",
        "trained a second, first run",
        "second run",
        "read a second, cold",
    ]
    return [
        "",
        "## Training from the store",
        "",
        "Faces trained a second are a batch by the mean step. The last column is how fast batches of "
        f"{READ_FACES} faces at random are read without a network, in a process that begins with none of the "
        "store in the page cache; a store that fits the memory is soon all there. A load before the "
        "measurement means that others had the processors, too: then compare the sizes alone "
        "([benchmarks.md](benchmarks.md) holds speeds of a machine with nothing else to do).",
        "",
        *_table(heads, rows),
    ]


def _copies(sizes: list[dict[str, Any]]) -> list[str]:
    rows = []
    for size in sizes:
        stage = _stage(size["copies"], COPIES)
        every = len(VIEWS) * stage["seconds"] / 60
        rows.append([f"{size['rows']:,}", _spent([stage]), f"{every:.1f}", _mebibytes(stage["anon"])])
    heads = ["images", "one crop and its mirror image, s", f"all {len(VIEWS)}, reckoned, min", "memory, MiB"]
    return [
        "",
        "## Looking for near-duplicates",
        "",
        "Grey images of noise, as the search keeps of each file; index included. A first run also opens each "
        "file once more for them; later ones know the result. An image more costs "
        f"{_grown(sizes, COPIES, 'copies'):,.0f} bytes. `split.near_duplicates=null` does without.",
        "",
        *_table(heads, rows),
    ]


def _stage(run: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [stage for stage in run["stages"] if stage["name"] == name]
    return dict(found)


def _spent(stages: list[dict[str, Any]]) -> str:
    seconds, cpu = (sum(stage[key] for stage in stages) for key in ("seconds", "cpu"))
    return f"{seconds:.1f} ({cpu:.1f})"


def _mapped(size: dict[str, Any]) -> int:
    return int(max(stage["file"] for stage in size["first"]["stages"]))


def _anon(sizes: list[dict[str, Any]], name: str, run: str = "first") -> list[int]:
    return [int(_stage(size[run], name)["anon"]) for size in sizes]


def _grown(sizes: list[dict[str, Any]], name: str, run: str = "first") -> float:
    """Bytes a row of a stage's memory, between the two largest numbers of rows."""
    few, many = _anon(sizes, name, run)[-2:]
    rows = int(sizes[-1]["rows"]) - int(sizes[-2]["rows"])
    return (many - few) / rows


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f}"


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    marks = [":--", *["--:"] * (len(heads) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)]
