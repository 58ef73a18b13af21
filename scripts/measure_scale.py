"""What ten thousand, a hundred thousand and a million faces cost: seconds, and memory.

python scripts/measure_scale.py --page docs/scale.md      # 62 GB of disk, twenty minutes on two cores

Each number of rows has processes of its own; see scale_stages.py for what they do. Needs Linux.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmark_machine import machine
from PIL import Image
from scale_page import page

from agegender.core.errors import AgeGenderError, RunError, UserError
from agegender.core.files import read_json, write_json, write_text
from agegender.data.samples.store import bytes_needed
from agegender.data.synthetic.faces import draw_face, face_label

ROWS = (10_000, 100_000, 1_000_000)
DRAWN = 500
FILE_SIDE, SIZE, STEPS = 64, 128, 100
IN_A_FOLDER = 1000
_BLOCK = 4096
_SPARE = 2**33
"""Bytes of the disk to leave free."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="two or more numbers of faces")
    parser.add_argument("--out", type=Path, default=Path("outputs/scale"), help="faces and stores go there")
    parser.add_argument("--page", type=Path, help="the Markdown goes to this file, too")
    arguments = parser.parse_args()
    try:
        text = measure(sorted(set(arguments.rows)), arguments.out)
    except AgeGenderError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.page is not None:
        write_text(arguments.page, text)
    print(text)
    return 0


def measure(rows: list[int], out: Path) -> str:
    """The page."""
    if len(rows) < 2 or rows[0] < 100:
        raise UserError(f"--rows {' '.join(map(str, rows))}: two or more numbers, of at least 100")
    out.mkdir(parents=True, exist_ok=True)
    need = bytes_needed(rows[-1], SIZE) + rows[-1] * _BLOCK + _SPARE
    free = shutil.disk_usage(out).free
    if free < need:
        raise UserError(f"{out} has {free / 1e9:.0f} GB left, {need / 1e9:.0f} are needed: lower --rows")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=out) as name:
        folder = Path(name).absolute()
        write_files(folder, rows[-1])
        sizes = [measured(folder, number) for number in rows]
    document = {
        "command": command(rows),
        "machine": machine(sizes[0]["first"], load),
        "drawn": DRAWN,
        "file_side": FILE_SIDE,
        "size": SIZE,
        "steps": STEPS,
        "sizes": sizes,
    }
    write_json(out / "scale.json", document)
    return page(document)


def command(rows: list[int]) -> str:
    more = "" if tuple(rows) == ROWS else f" --rows {' '.join(map(str, rows))}"
    return f"python scripts/measure_scale.py{more} --page docs/scale.md"


def write_files(folder: Path, count: int) -> None:
    """So many different files, of which every DRAWN-th shows the same face."""
    drawn = [_jpeg(index) for index in range(min(DRAWN, count))]
    for index in range(count):
        file = folder / _name(index)
        if index % IN_A_FOLDER == 0:
            file.parent.mkdir()
        file.write_bytes(drawn[index % DRAWN] + index.to_bytes(4))  # behind a JPEG's end: not looked at


def _jpeg(index: int) -> bytes:
    data = io.BytesIO()
    face = Image.fromarray(draw_face(0, index)).resize((FILE_SIDE, FILE_SIDE))
    face.save(data, "JPEG", quality=85)
    return data.getvalue()


def _name(index: int) -> str:
    return f"{index // IN_A_FOLDER}/{index}.jpg"


def measured(folder: Path, rows: int) -> dict[str, Any]:
    """A first run, a second one on the same faces, random reads, the search for copies."""
    labels = [face_label(0, index) for index in range(DRAWN)]
    cells = [f"{label.age},{label.gender}" for label in labels]
    with (folder / "faces.csv").open("w", encoding="utf-8") as file:
        file.write("path,age,gender\n")
        file.writelines(f"{_name(index)},{cells[index % DRAWN]}\n" for index in range(rows))
    settings = [
        "data=csv",
        f"data.csv='{folder / 'faces.csv'}'",
        "data.gender_codes={female:female,male:male}",
        f"data.image_size={SIZE}",
        "split.near_duplicates=null",
        "model=scratch_cnn_v2",
        "augment=published",
        f"trainer.max_steps={STEPS}",
    ]
    found: dict[str, Any] = {"rows": rows, "load": os.getloadavg()[0]}
    for name in ("first", "second"):
        found[name] = child(folder, "train", *settings)
        print(f"{rows:,} rows, {name} run: {found[name]}", flush=True)
    (store,) = (folder / "cache" / "samples").iterdir()
    status = (store / "images.npy").stat()
    found["store"], found["on_disk"] = status.st_size, status.st_blocks * 512
    found["reads"] = child(folder, "reads", store / "images.npy")
    shutil.rmtree(folder / "cache")  # two stores would not fit
    found["copies"] = child(folder, "copies", str(rows))
    print(f"{rows:,} rows: {found['reads']} {found['copies']}", flush=True)
    return found


def child(folder: Path, work: str, *arguments: str | Path) -> dict[str, Any]:
    """What a process measured; RunError with its last words where it fails."""
    script, result = Path(__file__).with_name("scale_stages.py"), folder / "result.json"
    done = subprocess.run(
        [sys.executable, script, work, result, *arguments],
        env={**os.environ, "AGEGENDER_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise RunError(f"scale_stages.py {work}: exit code {done.returncode}: {last[0]}")
    return dict(read_json(result))


if __name__ == "__main__":
    sys.exit(main())
