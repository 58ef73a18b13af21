"""Drawn faces whose look follows age, gender and group: the data set that comes with the program.

Skin, hair and shape each follow an age of their own, and the cues of genders and groups overlap as in life.
What must not follow a label comes from streams that never see one. A face is drawn flat and upright, then
lit, then photographed. Points are in face units: x right, y down, half the width of the head = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from agegender.core.seeding import stream

VERSION = 3  # counts up when the look changes; the cache of drawn faces is kept apart by it
SIZE = 128  # side of a drawn face, in pixels
GROUPS = ("g0", "g1", "g2")

Pixels = npt.NDArray[np.uint8]
_SIDE, _UNIT = 2 * SIZE, 68  # of the canvas and of a face unit, in pixels; halved at last for smooth edges
_X, _Y = np.meshgrid(*[(np.arange(_SIDE, dtype=np.float32) - SIZE) / _UNIT] * 2)
_FAIREST, _DARKEST = np.array((240, 202, 178)), np.array((90, 50, 32))  # skin
_FAIR = ((196, 156, 96), (136, 92, 56), (88, 58, 40), (54, 38, 30), (156, 84, 48))
_DARK = ((26, 22, 22), (40, 31, 28), (58, 41, 32))
_GROUPS = {  # melanin, curl, how far the eyes open, colours of the hair and of the eyes
    "g0": (0.14, 0.25, 1.0, _FAIR, ((76, 112, 148), (84, 112, 78), (104, 72, 44))),
    "g1": (0.42, 0.1, 0.78, _DARK, ((62, 40, 26),)),
    "g2": (0.8, 0.85, 1.0, _DARK, ((48, 32, 22),)),
}


@dataclass(frozen=True)
class Cues:
    """Strengths of what the look takes from the labels; 0 = absent."""

    age_noise: float = 1.0  # spread between the true age and those of skin, hair and shape
    growth: float = 1.0  # a child's proportions
    wrinkles: float = 1.0  # lines, folds, age spots
    sagging: float = 1.0  # jowls, lids, thin lips, long nose
    hair_age: float = 1.0  # greying, receding
    gender_shape: float = 1.0  # jaw, neck, brows, lips
    gender_hair: float = 1.0  # length, baldness
    beard: float = 1.0  # beards and their shadow
    group: float = 1.0  # tone of the skin, hair, eyes


@dataclass(frozen=True)
class FaceLabel:
    """What a drawn face is labelled: age in years (1 to 90, to a tenth), gender, group."""

    age: float
    gender: str
    group: str


class Nuisance:
    """What must not follow a label: pose (in face units and radians), light, expression, camera."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.shift_x, self.shift_y, self.roll, self.yaw = rng.normal(0, (0.07, 0.07, 0.1, 0.1)).tolist()
        self.light_x, self.light_y, self.contrast = rng.uniform((-0.7, -0.8, 0.3), (0.7, 0.1, 0.7)).tolist()
        self.scale, self.brightness, self.warmth = rng.uniform((0.9, 0.78, -0.07), (1.1, 1.1, 0.07)).tolist()
        self.smile, self.blur, self.noise = rng.normal(0.3, 0.5), abs(rng.normal(0, 0.45)), rng.uniform(1, 5)
        self.open_mouth, self.grey, self.occluded = (rng.random(3) < (0.45, 0.07, 0.06)).tolist()


def face_label(seed: int, index: int) -> FaceLabel:
    """The label of face `index`: every age from 1 to 90, genders and groups equally often."""
    rng = stream(seed, "label", index)
    ages = rng.uniform(1, 16), rng.triangular(5, 30, 68), rng.uniform(1, 90)
    age = round(float(rng.choice(ages, p=(0.16, 0.44, 0.4))), 1)
    return FaceLabel(age, ("female", "male")[rng.integers(2)], GROUPS[rng.integers(3)])


def nuisance(seed: int, index: int) -> Nuisance:
    """Pose, light, expression and camera of face `index`."""
    return Nuisance(stream(seed, "nuisance", index))


def draw_face(seed: int, index: int, cues: Cues = Cues(), label: FaceLabel | None = None) -> Pixels:
    """Face `index` as uint8 (SIZE, SIZE, 3), RGB; another `label` keeps pose, light and background."""
    look = _Look(label or face_label(seed, index), cues, stream(seed, "look", index))
    about, scene = nuisance(seed, index), stream(seed, "scene", index)
    blobs = scene.normal(128, 45, (5, 5, 1)) + scene.normal(0, 20, (5, 5, 3))
    canvas = Image.fromarray(_bytes(blobs)).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    canvas.putalpha(0)  # what is drawn becomes opaque, and what is opaque takes light
    _draw_head(canvas, look, scene)
    _draw_features(canvas, look, about)
    return _photograph(_lit(canvas, look, about), about, scene)


class _Look:
    """What a label makes of a face: ages of its own for skin, hair and shape, then sizes and colours."""

    def __init__(self, label: FaceLabel, cues: Cues, rng: np.random.Generator) -> None:
        spread = cues.age_noise * np.interp(label.age, (0, 30), (0.4, 7.9))  # a child's age shows better
        skin_age, hair_age, shape_age = np.clip(label.age + rng.normal(0, spread, 3), 0.5, 95).tolist()
        hair_age = 30 + cues.hair_age * (hair_age - 30)
        gendered = np.interp(label.age, (2.5, 13.5), (0, 1 if label.gender == "male" else -1))
        self.grown = g = 1 - cues.growth * np.interp(shape_age, (0.5, 4, 8, 13, 19), (1, 0.7, 0.46, 0.21, 0))
        self.masculine = m = g * (0.75 * cues.gender_shape * gendered + rng.normal(0, 0.4))
        self.sag = cues.sagging * np.interp(shape_age, (35, 85), (0, 1))
        self.wrinkle = cues.wrinkles * np.interp(skin_age, (24, 80), (0, 1))

        varied = rng.normal(0, 0.014, 5)
        self.top, self.chin = -1.13 - 0.12 * g, 0.98 + 0.25 * g + 0.05 * m + 2 * varied[0]
        self.eye_x, self.eye_y = 0.43 - 0.03 * g + varied[1], 0.27 - 0.31 * g
        self.eye = 0.235 - 0.065 * g - 0.008 * m + 0.6 * varied[2]
        self.nose_x = 0.15 + 0.03 * g + 0.02 * m + 0.03 * self.sag + varied[3]
        self.nose_y = self.eye_y + 0.28 + 0.2 * g + 0.05 * self.sag
        self.mouth_x, self.mouth_y = 0.25 + 0.08 * g, 0.64 * self.nose_y + 0.36 * self.chin
        self.lip = (0.085 - 0.022 * m + varied[4]) * (1 - 0.45 * self.sag)

        kind = label.group if rng.random() < cues.group else GROUPS[rng.integers(3)]
        melanin, curl, self.lids, hairs, irises = _GROUPS[kind]
        skin = _FAIREST * (_DARKEST / _FAIREST) ** np.clip(melanin + rng.normal(0, 0.1), 0, 1) ** 1.5
        self.skin, self.lips = skin * (1 - 0.05 * self.wrinkle), skin * (0.88, 0.6 + 0.1 * m, 0.62 + 0.08 * m)
        self.iris, self.hair = rng.choice(irises), rng.choice(hairs) * (1.2 - 0.2 * g)
        self.grey = np.interp(hair_age + rng.normal(0, 5), (36, 76), (0, 1))
        self.curl, manly = rng.normal(curl, 0.12), cues.gender_hair * gendered
        self.hair_end = rng.normal(0.8 - 0.6 * manly, 0.4) - np.interp(hair_age, (1, 6, 60, 99), (1, 0, 0, 1))
        self.bald = np.interp(hair_age + rng.normal(0, 12), (22, 72), (0, max(0, manly)))
        self.fringe = 0.25 * (rng.random() < 0.5 - 0.1 * manly and hair_age < 35)
        self.beard = cues.beard * rng.beta(0.5, 0.8) * np.interp(shape_age, (15, 21), (0, max(0, gendered)))
        self.glasses = rng.random() < 0.08 + 0.3 * self.wrinkle
        self.rng = rng


def _bytes(levels: npt.NDArray[np.floating]) -> Pixels:
    return levels.clip(0, 255).astype(np.uint8)


def _strands(f: _Look) -> Image.Image:
    """Hair all over the canvas, from the crown down, each strand dark or grey; curls bend it."""
    light = f.rng.normal(1, 0.16, (720, 1)) + 0.1 * np.sin(np.arange(720) / 9)[:, None]
    tone = np.where(f.rng.random((720, 1)) < f.grey, (200, 200, 203), f.hair) * light
    around = np.arctan2(_X - f.rng.uniform(-0.25, 0.25), _Y - float(f.top - 0.25)) * (360 / np.pi)
    bend = 4 * np.sin(6 * _Y + 2 * _X) + 14 * f.curl * np.sin(32 * _Y + 3 * np.sin(19 * _X))
    return Image.fromarray(_bytes(tone)[(around + bend).astype(int) % 720])


def _draw(on: Image.Image, ink: npt.ArrayLike, *xy: float, width: float = 0.0) -> None:
    """A smooth shape or line through x, y, x, y ... and its mirror image; joined if it starts at x = 0."""
    right = np.reshape(xy, (-1, 2))
    left = right[::-1] * (-1, 1)
    colour = tuple(np.atleast_1d(ink).clip(0, 255).astype(int).tolist())
    for path in (right, left) if xy[0] else (np.concatenate((left[:-1], right)),):
        p = np.concatenate((path[:1], path, path[-1:]) if width else (path[-1:], path, path[:2]))
        a, b, c, d = p[:-3, None], p[1:-2, None], p[2:-1, None], p[3:, None]  # a Catmull-Rom spline
        t = np.linspace(0, 1, 6)[:, None]
        curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        points = (curve * _UNIT + SIZE).ravel().tolist()
        if width:
            ImageDraw.Draw(on).line(points, colour, round(width * _UNIT), "curve")
        else:
            ImageDraw.Draw(on).polygon(points, colour)


def _oval(x: float, y: float, rx: float, ry: float) -> list[float]:
    """Points of an oval for `_draw`, clockwise from the left."""
    return [v for t in np.arange(8) * np.pi / 4 for v in (x - rx * np.cos(t), y - ry * np.sin(t))]


def _draw_head(on: Image.Image, f: _Look, scene: np.random.Generator) -> None:
    """Ears, neck, clothes, head, beard, hair."""
    g, m, sag, chin, top, end, strands = f.grown, f.masculine, f.sag, f.chin, f.top, f.hair_end, _strands(f)
    behind, front = Image.new("L", on.size), Image.new("L", on.size)
    neck, square, w = 0.46 + 0.12 * g + 0.1 * m, 0.09 * m - 0.1 * g + 0.07 * sag, 1.09 + 0.1 * f.curl
    _draw(on, f.skin * 0.85, *_oval(1, f.eye_y + 0.18, 0.14, 0.2 + 0.03 * g + 0.05 * sag))
    _draw(behind, 255 * (end > 0.6), 0, top, w, -0.55, w + 0.1, 0.2, w + 0.15, end, 0.5, end + 0.1)
    on.paste(strands, mask=behind)
    _draw(on, f.skin * 0.8, 0, 0.4, neck, 0.4, neck, chin + 0.2, neck + 0.2, 2.4)
    _draw(on, (*scene.uniform(20, 230, 3), 0), 0, chin + 0.5, neck, chin + 0.4, 2.7 * neck, chin + 0.7, 2, 3)
    jaw = (0.84 + square, 0.66 * chin, 0.46 + square, 0.92 * chin, 0.16 + 0.08 * m, chin)
    _draw(on, f.skin, 0, top, 0.54, 0.88 * top, 0.88, 0.56 * top, 1, -0.1, 1 - 0.06 * g, 0.32 * chin, *jaw)
    _draw(front, 255 * f.beard, 0, f.mouth_y - 0.17, 0.5, f.mouth_y - 0.09, 0.97, 0.2, *jaw)
    line = np.interp(f.bald, (0, 1), (f.eye_y - 0.6 - 0.1 * g + f.fringe, top))  # where the hair begins
    crown = (0, top - 0.1 * (1 - f.bald), 0.55 * w, 0.95 * top - 0.05, 0.87 * w, 0.68 * top, w, -0.45, w, 0)
    inner = (0.93, 0.08, 0.86, -0.3, 0.66, line + 0.12, 0.35, line, 0.05, line)
    _draw(front, 135 + 120 * min(1, 3 * g), *crown, *inner)
    on.paste(strands, mask=front.filter(ImageFilter.BoxBlur(3)))


def _draw_features(on: Image.Image, f: _Look, about: Nuisance) -> None:
    """Eyes, brows, nostrils, mouth, glasses."""
    g, x, y, r, mx, my, smile = f.grown, f.eye_x, f.eye_y, f.eye, f.mouth_x, f.mouth_y, about.smile
    high = f.lids * r * (0.68 - 0.12 * g - 0.18 * f.sag)
    eye, rim = _oval(x, y, r, high), _oval(x, y + 0.03, 1.5 * r, 1.25 * r)
    _draw(on, (236, 232, 226), *eye)
    for size, ink in ((0.6 - 0.06 * g, f.iris), (0.3, (14, 12, 12)), (0.1, (250, 250, 250))):
        _draw(on, ink, *_oval(x, y, size * r, min(size * r, high)))
    _draw(on, f.skin * 0.3, *eye[:10], width=0.035)
    hair = f.skin + (0.85 * (f.hair * (1 - 0.7 * f.grey) + 110 * f.grey) - f.skin) * (0.3 + 0.55 * g)
    brow, arch, thick = y - 0.11 - 0.6 * r, 0.05 - 0.025 * f.masculine, 0.03 + 0.025 * (g + f.masculine)
    _draw(on, hair, 0.18, brow, 0.42, brow - arch, 0.7, brow + 0.05, width=thick)
    _draw(on, f.skin * 0.5, *_oval(0.55 * f.nose_x, f.nose_y + 0.01, 0.28 * f.nose_x, 0.026))
    corner, gap = (mx * (1 + 0.15 * smile), my - 0.09 * smile), 0.14 * max(0.0, smile) * about.open_mouth
    _draw(on, f.lips, 0, my - 0.75 * f.lip, 0.3 * mx, my - f.lip, *corner, 0.5 * mx, my + gap + f.lip)
    _draw(on, (236, 230, 218), 0, my, *corner, 0.4 * mx, my + gap)
    _draw(on, f.lips * 0.5, 0, my + 0.01, 0.4 * mx, my + 0.01, *corner, width=0.025)
    if f.glasses:
        _draw(on, (60, 48, 48), 0, y, *rim, *rim[:2], width=0.035)


def _lit(flat: Image.Image, f: _Look, about: Nuisance) -> Pixels:
    """The canvas as the height map of the head takes the light."""
    g, w, eye, brow, nose, mouth = f.grown, f.wrinkle, f.eye_y, f.eye_y - 0.24, f.nose_y, f.mouth_y
    relief = [  # x, y, half sizes, turn, rise: nose (bridge, tip), sockets, brows, cheeks, chin
        (0, (eye + nose) / 2, 0.14, 0.3, 0, 0.07 + 0.11 * g),
        (0, nose - 0.07, 1.1 * f.nose_x, 0.15, 0, 0.12 + 0.05 * g),
        (f.eye_x, eye, 0.24, 0.17, 0, -0.06 - 0.04 * g - 0.03 * f.sag),
        (0, brow, 0.6, 0.09, 0, 0.04 + 0.03 * f.masculine),
        (0.5, nose, 0.28, 0.26, 0, 0.13 - 0.05 * g + 0.05 * about.smile - 0.05 * f.sag),
        (0, f.chin - 0.14, 0.24, 0.13, 0, 0.07 + 0.04 * f.masculine),
        (f.mouth_x + 0.02, nose + 0.1, 0.17, 0.03, 0.9, -0.09 * w - 0.01 * about.smile),  # from here on folds
        (f.mouth_x + 0.08, mouth + 0.17, 0.13, 0.025, 1.3, -0.09 * max(0, w - 0.2)),
        (f.eye_x, eye + 0.22, 0.16, 0.025, 0, -0.08 * w),
    ]
    for i in (-1, 0, 1):  # forehead, crow's feet
        relief.append((0, brow - 0.32 - 0.12 * i, 0.4, 0.022, 0, -0.08 * max(0, w - 0.2 - 0.1 * i)))
        relief.append((f.eye_x + 0.34, eye + 0.1 * i, 0.1, 0.02, 0.4 * i, -0.07 * max(0, w - 0.2)))
    height = np.sqrt(np.clip(1.06 - 0.85 * _X**2 - 0.55 * _Y**2, 0.06, None))
    for x, y, rx, ry, turn, rise in np.array(relief, np.float32):
        dx, dy, cos, sin = np.abs(_X) - x, _Y - y, np.cos(turn), np.sin(turn)
        height += rise * np.exp(-(((cos * dx + sin * dy) / rx) ** 2) - ((cos * dy - sin * dx) / ry) ** 2)
    dy, dx = np.gradient(height, 1 / _UNIT)
    facing = (1 - about.light_x * dx - about.light_y * dy) / np.sqrt(1.2 * (1 + dx**2 + dy**2))
    facing = np.clip(facing, 0, 1.05)[..., None]
    spots = Image.fromarray(f.rng.normal(-1.2, 1, (44, 44)).clip(0, 1).astype(np.float32)).resize(flat.size)
    shade = 1.3 * about.contrast * (facing - 0.8) - float(0.25 * w) * np.asarray(spots)[..., None]
    colour, takes_light = np.split(np.asarray(flat, np.float32), (3,), 2)
    return _bytes(colour * (1 + takes_light / 255 * shade) + takes_light * 0.07 * facing**14)


def _photograph(face: Pixels, about: Nuisance, scene: np.random.Generator) -> Pixels:
    """Pose, blur, occluder, exposure, noise."""
    cos, sin = float(np.cos(about.roll) / about.scale), float(np.sin(about.roll) / about.scale)
    x, y = cos * _X + sin * _Y - about.shift_x, cos * _Y - sin * _X - about.shift_y
    x -= about.yaw * np.clip(1 - x**2 - 0.56 * y**2, 0, 1)  # what is near moves more as the head turns
    column, row = (np.clip(at * _UNIT + SIZE, 0, _SIDE - 1).astype(int) for at in (x, y))
    image = Image.fromarray(face[row, column]).reduce(2).filter(ImageFilter.GaussianBlur(about.blur))
    if about.occluded:
        left, high, *colour = scene.integers(0, 90, 5).tolist()
        ImageDraw.Draw(image).ellipse((left, high, left + 38, high + 32), tuple(colour))
    pixels = np.asarray(image.convert("L").convert("RGB") if about.grey else image, np.float32)
    pixels = pixels * about.brightness * (1 + about.warmth, 1, 1 - about.warmth)
    return _bytes(pixels + scene.normal(0, about.noise, (SIZE, SIZE, 1)))
