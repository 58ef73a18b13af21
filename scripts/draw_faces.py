"""Draw a contact sheet of the embedded faces, age along the rows, gender and group down the columns.

python scripts/draw_faces.py outputs/faces.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from agegender.core.types import GENDERS
from agegender.data.synthetic.faces import GROUPS, SIZE, FaceLabel, draw_face

AGES = (1, 2, 4, 8, 13, 20, 30, 42, 55, 68, 85)
HEAD, SIDE = 18, 74
"""Pixels of the margins that hold the ages and the labels of the rows."""


def contact_sheet(seed: int = 0) -> Image.Image:
    """A face for every age, gender and group."""
    rows = [(group, gender) for group in GROUPS for gender in GENDERS]
    sheet = Image.new("RGB", (SIDE + SIZE * len(AGES), HEAD + SIZE * len(rows)), "white")
    write = ImageDraw.Draw(sheet)
    for column, age in enumerate(AGES):
        write.text((SIDE + SIZE * (column + 0.5), HEAD / 2), f"{age}", fill="black", anchor="mm")
    for row, (group, gender) in enumerate(rows):
        top = HEAD + SIZE * row
        write.text((SIDE / 2, top + SIZE / 2), f"{gender}\n{group}", fill="black", anchor="mm")
        for column, age in enumerate(AGES):
            face = draw_face(seed, row * len(AGES) + column, label=FaceLabel(age, gender, group))
            sheet.paste(Image.fromarray(face), (SIDE + SIZE * column, top))
    return sheet


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(f"usage: python {sys.argv[0]} SHEET.png")
    target = Path(sys.argv[1])
    contact_sheet().save(target)
    print(target)


if __name__ == "__main__":
    main()
