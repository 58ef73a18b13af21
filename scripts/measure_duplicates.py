"""How well copies of photos are found.

python scripts/measure_duplicates.py UTKFACE_FOLDER docs/duplicates.md --sheet outputs/pairs.png

Counts on the folder, recall on copies made of its photos, a sheet of found pairs to look at (--sheet), and
the cost for up to a million hashes. The page it writes holds figures only, no face.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance
from scipy.stats import binomtest

from agegender.config.compose import composing, to_plain, validate
from agegender.config.schema import TrainConfig
from agegender.core.files import write_text
from agegender.core.seeding import stream
from agegender.data.dataset import Dataset, load_dataset
from agegender.data.duplicates import fingerprint, near
from agegender.data.duplicates.clusters import NEAR_DUPLICATES
from agegender.data.duplicates.neighbours import Neighbours
from agegender.data.images import decode_face

MADE = 500
"""Photos of which every kind of copy is made."""
SHOWN = 100
HASHES = (125_000, 250_000, 500_000, 1_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="UTKFace as published")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("--sheet", type=Path, help="PNG of found pairs to look at; it shows the faces")
    parser.add_argument("--right", type=int, help=f"how many of the {SHOWN} pairs of the sheet are one photo")
    arguments = parser.parse_args()
    lines = [
        "# Copies of photos",
        "",
        "Written by `python scripts/measure_duplicates.py UTKFACE_FOLDER docs/duplicates.md "
        f"--sheet outputs/pairs.png --right {arguments.right}`; all draws have seed 0.",
        *counts(arguments.folder),
        *recall(arguments.folder),
        *precision(arguments.folder, arguments.sheet, arguments.right),
        *cost(),
    ]
    write_text(arguments.page, "\n".join(lines) + "\n")


def counts(folder: Path) -> list[str]:
    """Groups on the folder, and how long they take with an empty and with a filled cache."""
    dataset = _dataset(folder)
    seconds = []
    with (
        tempfile.TemporaryDirectory() as cache,
        patch.dict(os.environ, {"AGEGENDER_CACHE": cache}),
    ):
        for _ in range(2):
            started = time.perf_counter()
            near.near_pairs(dataset.faces["path"].tolist(), dataset.faces["sha256"])
            seconds.append(time.perf_counter() - started)
    copies = dataset.copies
    return [
        "",
        "## Found",
        "",
        f"UTKFace, {len(dataset.faces):,} usable of {dataset.rows:,} files, correlation at least "
        f"{NEAR_DUPLICATES}:",
        "",
        f"- identical files: {copies.exact} contents in several files, {copies.exact_surplus} surplus files",
        f"- near-duplicates: {copies.near} photos in {copies.near_files:,} files of different content",
        f"- photos with several files, of either kind: {copies.photos}",
        f"- labels disagree in {copies.conflicts} of them ({copies.conflicts / copies.photos:.0%}): "
        f"{copies.conflicts_age} in age, {copies.conflicts_gender} in gender "
        f"({copies.conflicts_gender / copies.photos:.1%})",
        f"- gap between the ages of a photo: {copies.age_gap_mean:.1f} years on average",
        "",
        f"Looking for them took {seconds[0]:.0f} s the first time and {seconds[1]:.2f} s from the cache "
        f"(on {os.cpu_count()} cores, which may have had other work).",
    ]


def recall(folder: Path) -> list[str]:
    """Share of made copies that are paired with their original, for each kind of change."""
    files = sorted(folder.glob("*.jpg"))
    rng = stream(0, "made copies")
    chosen = [files[i] for i in rng.permutation(len(files))[:MADE]]
    originals = [Image.open(file).convert("RGB") for file in chosen]
    greys = [_grey(file.read_bytes()) for file in chosen]
    kinds = _changes(rng)
    for change in kinds.values():
        greys += [_grey(change(image)) for image in originals]
    pairs = near.pairs_of(np.stack(greys)).from_correlation(NEAR_DUPLICATES)
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    lines = [
        "",
        "## Recall on made copies",
        "",
        f"{MADE} photos of the same set, each changed in every way below and searched among all of them.",
        "",
        "| change | found | recall (95 %, Wilson) |",
        "|:--|--:|--:|",
    ]
    for number, name in enumerate(kinds, start=1):
        hits = sum((row, number * MADE + row) in found for row in range(MADE))
        lines.append(f"| {name} | {hits} of {MADE} | {_share(hits, MADE)} |")
    return lines


def _changes(rng: np.random.Generator) -> dict[str, Callable[[Image.Image], bytes]]:
    def crop(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
        width, height = image.size
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        return image.crop(tuple(round(edge) for edge in box))  # type: ignore[arg-type]

    def anywhere(image: Image.Image) -> Image.Image:
        left, top = rng.uniform(0, 0.05, 2)
        return crop(image, left, top, 0.05 - left, 0.05 - top)

    def scaled(image: Image.Image, factor: float) -> Image.Image:
        return image.resize((round(image.width * factor), round(image.height * factor)))

    mirror = Image.Transpose.FLIP_LEFT_RIGHT
    return {
        "saved again, JPEG quality 30": lambda image: _jpeg(image, 30),
        "resized to one half": lambda image: _jpeg(scaled(image, 0.5)),
        "resized to one and a half": lambda image: _jpeg(scaled(image, 1.5)),
        "brightened by 30 %": lambda image: _jpeg(ImageEnhance.Brightness(image).enhance(1.3)),
        "darkened by 30 %": lambda image: _jpeg(ImageEnhance.Brightness(image).enhance(0.7)),
        "contrast raised by 30 %": lambda image: _jpeg(ImageEnhance.Contrast(image).enhance(1.3)),
        "greyscale": lambda image: _jpeg(image.convert("L")),
        "cropped by 5 % in all, anywhere": lambda image: _jpeg(anywhere(image)),
        "cropped by 5 % at the left": lambda image: _jpeg(crop(image, 0.05, 0, 0, 0)),
        "cropped by 5 % at every side": lambda image: _jpeg(crop(image, 0.05, 0.05, 0.05, 0.05)),
        "mirrored": lambda image: _jpeg(image.transpose(mirror)),
        "mirrored, cropped by 5 % anywhere, quality 50": lambda image: _jpeg(
            anywhere(image.transpose(mirror)), 50
        ),
        "turned by 3 degrees (not looked for)": lambda image: _jpeg(
            image.rotate(3, Image.Resampling.BILINEAR)
        ),
    }


def precision(folder: Path, sheet: Path | None, right: int | None) -> list[str]:
    """A sheet of found pairs of different files, and what the person who looked at it said."""
    dataset = _dataset(folder)
    pairs = near.near_pairs(dataset.faces["path"].tolist(), dataset.faces["sha256"])
    pairs = pairs.from_correlation(NEAR_DUPLICATES)
    drawn = np.sort(stream(0, "pairs to look at").permutation(len(pairs.first))[:SHOWN])
    if sheet is not None:
        _draw(dataset.faces, pairs, drawn, sheet)
    said = (
        "not looked at"
        if right is None
        else f"{right} of {len(drawn)} are one photo: {_share(right, len(drawn))}"
    )
    stranger = "no pair of the 2,000 drawn faces, all of them strangers, reaches it"
    highest = _highest_of_strangers(2000)
    assert highest < NEAR_DUPLICATES, "drawn faces are taken for copies of one another"
    return [
        "",
        "## Precision",
        "",
        f"{len(drawn)} of the {len(pairs.first)} pairs of different files, drawn at random and looked at "
        f"side by side (`--sheet`): {said}.",
        "",
        f"A correlation of {NEAR_DUPLICATES} is the threshold (`split.near_duplicates`); {stranger} "
        f"(the highest has {highest:.2f}).",
    ]


def _highest_of_strangers(count: int) -> float:
    from agegender.data.synthetic.faces import draw_face

    greys = [_grey(_jpeg(Image.fromarray(draw_face(0, index)), 95)) for index in range(count)]
    return float(near.pairs_of(np.stack(greys)).correlation.max(initial=0))


def _draw(faces: pd.DataFrame, pairs: near.NearPairs, drawn: npt.NDArray[np.int64], sheet: Path) -> None:
    side, across = 96, 10
    width, height = 2 * side + 8, side + 14
    image = Image.new("RGB", (across * width, -(-len(drawn) // across) * height), "white")
    pen = ImageDraw.Draw(image)
    for place, pair in enumerate(drawn):
        x, y = place % across * width, place // across * height
        for offset, row in ((0, pairs.first[pair]), (side, pairs.second[pair])):
            image.paste(Image.open(faces["path"][row]).resize((side, side)), (x + offset, y))
        pen.text((x, y + side), f"{place + 1}: {pairs.correlation[pair]:.3f}", fill="black")
    image.save(sheet)


def cost() -> list[str]:
    """Time and memory to index made hashes and to look for the neighbours of each under one view."""
    lines = [
        "",
        "## Cost",
        "",
        "Random hashes, one in ten a copy with three bits changed: building the index and asking for the "
        "neighbours of every hash under one of the 22 views, in chunks as in use.",
        "",
        "| hashes | seconds | per hash and log2 n, ns | copies found | peak memory so far |",
        "|--:|--:|--:|--:|--:|",
    ]
    for count in HASHES:
        hashes = _made_hashes(count)
        started = time.perf_counter()
        index = Neighbours(hashes)
        found = 0
        for start in range(0, count, 2**14):
            query, close = index.close_to(hashes[start : start + 2**14], start)
            found += int(((query + start) == close + count // 10).sum())
        seconds = time.perf_counter() - started
        each = seconds / count / np.log2(count) * 1e9
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        recall = f"{found / (count // 10):.1%}"
        lines.append(f"| {count:,} | {seconds:.1f} | {each:.0f} | {recall} | {peak:.2f} GiB |")
    return lines


def _made_hashes(count: int) -> npt.NDArray[np.uint64]:
    rng = stream(0, "made hashes", count)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    copies = count // 10
    flips = np.zeros(copies, np.uint64)
    for _ in range(3):
        flips |= np.uint64(1) << rng.integers(0, 64, copies, dtype=np.uint64)
    hashes[copies : 2 * copies] = hashes[:copies] ^ flips
    return hashes


def _dataset(folder: Path) -> Dataset:
    with composing("train") as composer:
        plain = to_plain(composer.compose(["data=utkface", f"data.root='{folder}'"]))
    config = validate(TrainConfig, plain)
    return load_dataset(config.data, config.split, 16)


def _grey(data: bytes) -> npt.NDArray[np.uint8]:
    return fingerprint.to_grey(decode_face(data, fingerprint.SIDE))


def _jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _share(hits: int, count: int) -> str:
    low, high = binomtest(hits, count).proportion_ci(method="wilson")
    return f"{hits / count:.1%} ({low:.1%}–{high:.1%})"


if __name__ == "__main__":
    main()
