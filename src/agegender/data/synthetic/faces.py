"""Drawn faces whose look follows age, gender and group: the data set that comes with the program.

Skin, hair and shape each follow an age of their own (the true age and noise), and the cues of genders and
groups overlap as in life, so that no single cue gives a label away. What must not follow a label (pose,
light, background, expression, occluder, camera) is drawn by `nuisance`, which never sees one.

Points are in face units: x to the right, y down, half the width of the head = 1. Colours are drawn flat;
a height map of the head then gives light and shadow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from agegender.core.seeding import stream

VERSION = 2
"""Counts up when the look changes; the cache of drawn faces is kept apart by it."""

SIZE = 128
"""Side of a drawn face, in pixels."""

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
GROUPS = ("g0", "g1", "g2")
_FINE = 2  # drawn so much larger, then shrunk: smooth edges
_MELANIN = {"g0": 0.14, "g1": 0.42, "g2": 0.8}
_SKIN = np.array([(238, 202, 180), (220, 172, 138), (182, 128, 90), (124, 82, 60), (76, 50, 40)])
_HAIR = {
    "g0": ((196, 156, 96), (136, 92, 56), (88, 58, 40), (54, 38, 30), (156, 84, 48)),
    "g1": ((30, 25, 25), (44, 33, 28), (62, 43, 33)),
    "g2": ((26, 22, 21), (34, 27, 24), (50, 36, 28)),
}
_IRIS = {"g0": ((76, 112, 148), (84, 112, 78), (104, 72, 44)), "g1": ((62, 40, 26),), "g2": ((48, 32, 22),)}
_CURL = {"g0": 0.25, "g1": 0.1, "g2": 0.85}
_RING = np.array([(np.cos(t), np.sin(t)) for t in np.arange(8) * np.pi / 4])  # an oval's points


@dataclass(frozen=True)
class Cues:
    """Strengths of what the look takes from the labels; 0 = absent."""

    age_noise: float = 1.0  # spread between the true age and those of skin, hair and shape
    growth: float = 1.0  # a child's proportions
    wrinkles: float = 1.0  # lines, folds, age spots
    sagging: float = 1.0  # jowls, lids, thin lips, long nose
    hair_age: float = 1.0  # greying, receding, thinning
    gender_shape: float = 1.0  # jaw, neck, brows, lips, lashes
    gender_hair: float = 1.0  # length, baldness
    beard: float = 1.0  # beards and stubble
    group: float = 1.0  # tone of the skin, hair, eyes


@dataclass(frozen=True)
class FaceLabel:
    """What a drawn face is labelled: age in years (1 to 90, to a tenth), gender, group."""

    age: float
    gender: str
    group: str


@dataclass(frozen=True)
class Nuisance:
    """What must not follow a label; shifts in pixels, roll in degrees, the rest relative."""

    shift_x: float
    shift_y: float
    scale: float
    roll: float
    yaw: float
    light_x: float
    light_y: float
    contrast: float
    brightness: float
    warmth: float
    smile: float
    open_mouth: float
    gaze: float
    backdrop: int
    occluder: float
    blur: float
    noise: float
    grey: bool


def face_label(seed: int, index: int) -> FaceLabel:
    """The label of face `index`: every age from 1 to 90, genders and groups equally often."""
    rng = stream(seed, "label", index)
    kind = rng.random()
    age = rng.uniform(1, 16) if kind < 0.16 else rng.normal(34, 13) if kind < 0.6 else rng.uniform(1, 90)
    age = age if 1 <= age <= 90 else rng.uniform(1, 90)
    return FaceLabel(round(float(age), 1), ("female", "male")[rng.integers(2)], GROUPS[rng.integers(3)])


def nuisance(seed: int, index: int) -> Nuisance:
    """Pose, light, expression, background, occluder and camera of face `index`."""
    rng = stream(seed, "nuisance", index)
    return Nuisance(
        shift_x=rng.normal(0, 2.5),
        shift_y=rng.normal(0, 2.5),
        scale=float(np.clip(rng.normal(1, 0.05), 0.85, 1.15)),
        roll=rng.normal(0, 6),
        yaw=float(np.clip(rng.normal(0, 0.09), -0.2, 0.2)),
        light_x=rng.uniform(-0.7, 0.7),
        light_y=rng.uniform(-0.8, 0.1),
        contrast=rng.uniform(0.25, 0.6),
        brightness=rng.uniform(0.78, 1.1),
        warmth=rng.normal(0, 0.04),
        smile=rng.normal(0.3, 0.5),
        open_mouth=rng.random(),
        gaze=rng.normal(0, 0.12),
        backdrop=int(rng.integers(2**31)),
        occluder=rng.random(),
        blur=abs(rng.normal(0, 0.45)),
        noise=rng.uniform(1, 5),
        grey=bool(rng.random() < 0.07),
    )


def draw_face(seed: int, index: int, cues: Cues = Cues(), label: FaceLabel | None = None) -> Pixels:
    """Face `index` as uint8 (SIZE, SIZE, 3), RGB; another `label` keeps pose, light and background."""
    look = _Look(label or face_label(seed, index), cues, stream(seed, "look", index))
    canvas = _Canvas(nuisance(seed, index), look)
    for draw in (_draw_behind, _draw_skin, _draw_features, _draw_creases, _draw_hair):
        draw(canvas, look)
    return _photograph(canvas, look)


class _Look:
    """What a label makes of a face: ages of its own for skin, hair and shape, then sizes and colours."""

    def __init__(self, label: FaceLabel, cues: Cues, rng: np.random.Generator) -> None:
        spread = cues.age_noise * (0.4 + 7.5 * min(1.0, label.age / 30))  # a child's age shows more exactly
        skin_age, hair_age, shape_age = np.clip(label.age + rng.normal(0, spread, 3), 0.5, 95)
        gendered = (1 if label.gender == "male" else -1) * np.clip((label.age - 2.5) / 11, 0, 1)
        grown_up = np.interp(shape_age, (0.5, 4, 8, 13, 19), (0, 0.3, 0.54, 0.79, 1))
        self.growth = g = 1 - cues.growth * (1 - grown_up)  # 0 a baby, 1 an adult
        self.masculine = m = g * np.clip(cues.gender_shape * gendered * 0.75 + rng.normal(0, 0.45), -1.3, 1.3)
        self.sag = cues.sagging * np.clip((shape_age - 35) / 50, 0, 1)
        self.wrinkle = w = cues.wrinkles * np.clip((skin_age - 24) / 56, 0, 1.1)

        z = rng.normal(0, 1, 10)
        self.top, self.chin = -1.13 - 0.12 * g + 0.02 * z[0], 0.98 + 0.25 * g + 0.05 * m + 0.03 * z[1]
        self.eye_x, self.eye_y = 0.43 - 0.03 * g + 0.012 * z[2], 0.27 - 0.31 * g
        self.eye = 0.235 - 0.065 * g - 0.008 * m + 0.008 * z[3]
        self.nose_x = 0.15 + 0.03 * g + 0.02 * m + 0.03 * self.sag + 0.016 * z[5]
        self.nose_y = self.eye_y + 0.28 + 0.2 * g + 0.05 * self.sag + 0.02 * z[4]
        self.mouth_y = self.nose_y + (self.chin - self.nose_y) * (0.36 + 0.015 * z[6])
        self.mouth_x = 0.25 + 0.08 * g + 0.015 * z[7]
        self.lip = (0.085 + 0.01 * z[8] - 0.022 * m) * (1 - 0.45 * self.sag)
        self.brow = 0.022 + 0.026 * g + 0.016 * m + 0.006 * z[9] * g
        self.neck, self.wide = 0.46 + 0.12 * g + 0.1 * m, 1.0 + 0.75 * g + 0.2 * m

        melanin = np.clip(0.4 + cues.group * (_MELANIN[label.group] - 0.4) + rng.normal(0, 0.1), 0, 1)
        skin = np.array([np.interp(melanin * 4, range(5), channel) for channel in _SKIN.T])
        self.skin = skin * (1 - w * np.array((0.03, 0.05, 0.08)))
        kind = label.group if rng.random() < cues.group * 0.98 else GROUPS[rng.integers(3)]
        self.narrow = kind == "g1"
        self.iris = _IRIS[kind][rng.integers(len(_IRIS[kind]))]
        self.hair = np.array(_HAIR[kind][rng.integers(len(_HAIR[kind]))]) * (1.25 - 0.25 * min(1, 1.6 * g))
        old = cues.hair_age * np.clip((hair_age - 36 + rng.normal(0, 5)) / 40, 0, 1)
        self.grey = old * (0.1 if rng.random() < 0.2 - 0.15 * gendered else 1.0)  # or dyed
        self.lips = skin * (0.88, 0.66 + 0.04 * m, 0.64 + 0.04 * m) * (1 - 0.1 * w)
        if rng.random() < -0.3 * cues.gender_shape * gendered * (label.age > 14):
            self.lips = 0.4 * self.lips + 0.6 * np.array((172, 36, 62)) * rng.uniform(0.8, 1.1)
        self.lashes = float(np.clip(0.4 - 0.6 * m, 0.1, 1.3))

        manly = cues.gender_hair * gendered
        wish = rng.normal(0.75 - 0.85 * manly, 0.5) - 0.7 * max(0.0, hair_age - 45) / 45
        self.length = np.clip(min(wish, 0.35 * hair_age - 0.5), 0, 2)  # 1: to the jaw
        self.tied = rng.random() < 0.3 and self.length > 0.9
        recede = cues.hair_age * (hair_age - 22) / 50 + rng.normal(0, 0.25)
        self.recede = max(0.0, manly) * np.clip(recede, 0, 1)
        self.density = min(1, 0.25 + 0.3 * hair_age) * (1 - 0.4 * cues.hair_age * max(0, hair_age - 50) / 40)
        self.fringe = rng.random() < 0.45 - 0.1 * gendered - 0.25 * (hair_age > 40)
        self.part = rng.uniform(-0.6, 0.6)
        self.curl = np.clip(rng.normal(_CURL[kind], 0.2), 0, 1)
        self.volume = 0.05 + 0.05 * min(self.length, 1.5) + self.curl * rng.uniform(0.05, 0.12)
        can = cues.beard * max(0.0, gendered) * np.clip((shape_age - 15) / 6, 0, 1)
        self.beard = can * (rng.uniform(0.7, 1) if rng.random() < 0.35 else rng.uniform(0, 0.4))
        self.full_beard = rng.random() < 0.6
        self.glasses = rng.random() < 0.05 + 0.3 * np.clip((skin_age - 8) / 60, 0, 1)
        self.rim = rng.uniform(20, 110, 3)
        self.rng = rng


class _Canvas:
    """A picture in face units; where it takes light (`lit`), its creases (`relief`), its hair (`tress`)."""

    def __init__(self, about: Nuisance, f: _Look) -> None:
        side, self.about = SIZE * _FINE, about
        angle, self.zoom = np.deg2rad(about.roll), 34.0 * _FINE * about.scale
        self.turn = self.zoom * np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
        self.origin = _FINE * np.array((SIZE / 2 + about.shift_x, SIZE * 0.49 + about.shift_y))
        self.rng = np.random.Generator(np.random.Philox(about.backdrop))  # backdrop, clothes, noise
        blobs = self.rng.uniform(0, 1, (5, 5, 3))
        blobs = 230 * (0.35 * blobs + 0.65 * blobs.mean(2, keepdims=True)) + 25 * blobs[0, 0]
        self.image = Image.fromarray(blobs.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
        self.lit, self.relief, self.tress = (_layer() for _ in range(3))
        y, x = np.mgrid[:side, :side].astype(np.float32) - self.origin[::-1, None, None].astype(np.float32)
        self.u, self.v = (np.float32(row[0]) * x + np.float32(row[1]) * y for row in np.linalg.inv(self.turn))
        self.strands = self._strands(f)

    def _strands(self, f: _Look) -> Image.Image:
        """Hair everywhere, from the crown down, each strand dark or grey; curls bend it."""
        n = 720
        light = f.rng.normal(1, 0.16, (n, 1)) + 0.1 * np.sin(np.arange(n) / 9)[:, None]
        tone = np.clip(np.where(f.rng.random((n, 1)) < f.grey, (200, 200, 203), f.hair) * light, 0, 255)
        frizz = f.rng.normal(0, 9 * f.curl, (48, 48)).astype(np.float32)
        bend = np.asarray(Image.fromarray(frizz).resize(self.image.size)) + 4 * np.sin(
            6 * self.v + 2 * self.u
        )
        around = np.arctan2(self.u - np.float32(0.4 * f.part), self.v - np.float32(f.top - 0.25))
        around = around * np.float32(n / 2 / np.pi) + bend
        return Image.fromarray(tone.astype(np.uint8)[around.astype(np.int32) % n])

    def curve(self, on: Image.Image, ink: npt.ArrayLike, points: Array, width: float = 0.0) -> None:
        """A smooth (Catmull-Rom) shape through (N, 2) points, or with a `width` a line."""
        p = np.concatenate((points[:1], points, points[-1:]) if width else (points[-1:], points, points[:2]))
        a, b, c, d = p[:-3, None], p[1:-2, None], p[2:-1, None], p[3:, None]
        t = np.linspace(0, 1, 6)[:, None]
        xy = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        xy = xy.reshape(-1, 2)
        xy[:, 0] += self.about.yaw * _near(xy[:, 0], xy[:, 1])  # what is near moves more as the head turns
        flat = (xy @ self.turn.T + self.origin).ravel().tolist()
        tone = np.clip(ink, 0, 255).astype(int).tolist()
        colour = tuple(tone) if isinstance(tone, list) else tone
        if width:
            ImageDraw.Draw(on).line(flat, colour, max(1, round(width * self.zoom)), "curve")
        else:
            ImageDraw.Draw(on).polygon(flat, fill=colour)

    def whole(self, on: Image.Image, ink: npt.ArrayLike, *half: float) -> None:
        """A shape of the right half x, y, x, y ... from top to bottom, and its mirror image."""
        points = np.reshape(half, (-1, 2))
        self.curve(on, ink, np.concatenate((points, points[::-1] * (-1, 1))))

    def pair(self, on: Image.Image, ink: npt.ArrayLike, *xy: float, width: float = 0.0) -> None:
        """A shape or line x, y, x, y ... on the right of the face, and the same on the left."""
        for side in (1, -1):
            self.curve(on, ink, np.reshape(xy, (-1, 2)) * (side, 1), width)

    def oval(self, on: Image.Image, ink: npt.ArrayLike, x: float, y: float, rx: float, ry: float) -> None:
        """An oval on the right of the face, and the same on the left."""
        self.pair(on, ink, *(_RING * (rx, ry) + (x, y)).ravel())

    def comb(self, mask: Image.Image) -> None:
        """Hair where the mask is."""
        self.image.paste(self.strands, mask=mask.filter(ImageFilter.BoxBlur(2)))
        for layer in (self.lit, self.tress):
            layer.paste(255, mask=mask)


def _draw_behind(c: _Canvas, f: _Look) -> None:
    """What the head covers: hair down the back, neck, clothes."""
    w, end, hair, low = 1.02 + f.volume, 0.25 + 0.75 * f.length, _layer(), f.chin + 0.3 + 0.1 * f.growth
    if f.tied and f.growth < 0.75:  # pigtails, or a bun
        c.oval(hair, 255, 1.2, 0.1, 0.3, 0.45)
    elif f.tied:
        c.oval(hair, 255, 0.1, f.top - 0.15, 0.3, 0.28)
    elif f.length > 0.5:
        c.whole(hair, 255, 0.55 * w, f.top, w, -0.55, w + 0.06, 0.2, w + 0.1, end, 0.5, end + 0.1)
    c.comb(hair)
    c.whole(c.image, f.skin * 0.8, f.neck, 0.4, f.neck, f.chin + 0.2, f.neck + 0.2, 2.4)
    c.oval(c.image, f.skin * 0.6, 0, f.chin - 0.05, f.neck * 1.02, 0.34)
    shirt = (0.3, low + 0.16, f.neck + 0.08, low, f.wide, low + 0.3, f.wide + 0.2, 3)
    c.whole(c.image, c.rng.uniform(20, 230, 3), *shirt)


def _draw_skin(c: _Canvas, f: _Look) -> None:
    """Ears and head, flat; age spots; the beard."""
    g, m, sag, chin, ear_y, lip = f.growth, f.masculine, f.sag, f.chin, f.eye_y + 0.18, f.mouth_y - 0.17
    ear, jaw = 0.2 + 0.03 * g + 0.05 * sag, 0.84 - 0.1 * g + 0.09 * m + 0.09 * sag
    c.oval(c.image, f.skin * 0.9, 1, ear_y, 0.14, ear)
    c.oval(c.image, f.skin * 0.7, 1.03, ear_y, 0.07, 0.6 * ear)
    c.oval(c.lit, 160, 1, ear_y, 0.14, ear)
    crown = (0.15, f.top, 0.54, 0.88 * f.top, 0.88, 0.56 * f.top, 1, -0.1, 1 - 0.06 * g, 0.32 * chin)
    low = (jaw, 0.66 * chin, 0.46 - 0.1 * g + 0.08 * m + 0.05 * sag, 0.92 * chin, 0.16 + 0.08 * m, chin)
    c.whole(c.image, f.skin, *crown, *low)
    c.whole(c.lit, 255, *crown, *low)
    for x, y, size in f.rng.uniform(-0.8, 0.8, (round(12 * f.wrinkle), 3)):
        c.curve(c.image, f.skin * 0.8, (x, y) + _RING * (0.03 + 0.02 * size))
    if f.beard > 0.03:
        mask, ink = _layer(), 255 * min(1, 0.15 + 0.85 * f.beard)
        cheek = (0.5, lip + 0.08, 0.8, 0.25, 0.97, 0.2, jaw, 0.66 * chin)[: 8 if f.full_beard else 2]
        c.whole(mask, ink, 0.2, lip, *cheek, 0.4, 0.93 * chin, 0.16, chin + 0.03)
        speckle = Image.fromarray(f.rng.integers(90, 255, (SIZE, SIZE), np.uint8)).resize(mask.size)
        c.image.paste(c.strands, mask=ImageChops.multiply(mask.filter(ImageFilter.BoxBlur(4)), speckle))


def _draw_features(c: _Canvas, f: _Look) -> None:
    """Eyes, brows, nostrils, mouth."""
    g, x, y, r, mx, my, smile = f.growth, f.eye_x, f.eye_y, f.eye, f.mouth_x, f.mouth_y, c.about.smile
    high = r * (0.66 - 0.14 * g - 0.16 * f.sag) * (0.8 if f.narrow else 1)
    lid = np.array((x - r, 0.02, x - 0.4 * r, -high, x + 0.35 * r, -0.95 * high, x + r, 0.04 * f.sag - 0.015))
    lid[1::2] += y
    c.oval(c.image, f.skin * 0.9, x, y - 0.3 * high, 1.15 * r, 1.25 * high)
    c.pair(c.image, (236, 232, 226), *lid, x + 0.35 * r, y + 0.72 * high, x - 0.4 * r, y + 0.72 * high)
    for size, ink in ((0.6 - 0.06 * g, f.iris), (0.3, (14, 12, 12)), (0.1, (250, 250, 250))):
        for centre in (-x, x):
            disc = _RING * size * r + (centre + c.about.gaze * r, -0.1 * high - 0.3 * r * (size == 0.1))
            disc[:, 1] = np.clip(disc[:, 1], -0.92 * high, 0.68 * high) + y  # between the lids
            c.curve(c.image, ink, disc)
    c.pair(c.image, f.skin * 0.3, *lid, width=0.018 + 0.035 * f.lashes * g)
    lid[1::2] -= 0.3 * high + 0.02
    c.pair(c.relief, 0 if f.narrow else 120, *lid, width=0.02)
    top, arch, thick = y - 0.13 - 0.6 * r + 0.02 * f.masculine, 0.05 - 0.025 * f.masculine, f.brow
    tone = f.skin + (0.85 * (f.hair * (1 - 0.7 * f.grey) + 110 * f.grey) - f.skin) * (0.3 + 0.55 * g)
    brow = (0.17, top, 0.42, top - arch, 0.72, top + 0.05 + 0.05 * f.sag, 0.44, top - arch + 1.6 * thick)
    c.pair(c.image, tone, *brow, 0.18, top + 2 * thick)
    c.oval(c.image, f.skin * 0.5, 0.55 * f.nose_x, f.nose_y + 0.01, 0.28 * f.nose_x, 0.026)

    edge = (mx * (1 + 0.15 * smile), my - 0.09 * smile)
    gap = 0.14 * max(0.0, smile) if c.about.open_mouth < 0.45 else 0.0
    c.whole(c.image, f.lips, 0, my - 0.75 * f.lip, 0.3 * mx, my - f.lip, *edge, 0.5 * mx, my + gap + f.lip)
    if gap > 0.03:
        c.whole(c.image, (90, 34, 36), 0.4 * mx, my + 0.01, *edge, 0.4 * mx, my + gap)
        c.whole(c.image, (236, 230, 218), 0.4 * mx, my + 0.01, *edge, 0.4 * mx, my + 0.7 * gap)
    c.pair(c.image, f.lips * 0.5, 0, my + 0.01, 0.4 * mx, my + 0.01, *edge, width=0.025)


def _draw_creases(c: _Canvas, f: _Look) -> None:
    """Lines and folds into the relief: they deepen with the skin's age; a smile folds the cheeks."""
    w, x, y, my, smile = f.wrinkle, f.eye_x, f.eye_y, f.mouth_y, max(0.0, c.about.smile)
    fold, corner = f.nose_x + 0.05, f.mouth_x + 0.12

    def crease(depth: float, *xy: float) -> None:
        if depth > 0.05:
            c.pair(c.relief, 255 * depth, *xy, width=0.028)

    for i, h in enumerate((0.42, 0.53, 0.64, 0.75)):
        crease(1.1 * w - 0.15 - 0.1 * i, 0, y - h, 0.3, y - h - 0.03, 0.58 - 0.05 * i, y - h + 0.03)
    crease(w - 0.15, 0.06, y - 0.2, 0.07, y - 0.04)
    crease(0.15 + 0.8 * w, x - 0.15, y + 0.15, x + 0.02, y + 0.2, x + 0.18, y + 0.13)
    crease(w - 0.25, x - 0.2, y + 0.22, x + 0.02, y + 0.3, x + 0.22, y + 0.2)
    for lift in (-0.1, 0.0, 0.1):
        crease(w - 0.2 + 0.15 * smile * w, x + 0.24, y + 0.3 * lift, x + 0.42, y + lift)
    depth = 0.05 + 0.95 * w + 0.15 * f.growth * smile
    crease(depth, fold, f.nose_y - 0.08, corner - 0.03, my - 0.13, corner, my)
    crease(0.9 * w - 0.2 + 0.3 * f.sag, corner - 0.06, my + 0.04, corner - 0.03, my + 0.24)
    for i in range(3):
        crease(w - 0.5, 0.6, 0.25 + 0.12 * i, 0.78 - 0.03 * i, 0.4 + 0.12 * i)
        crease(w - 0.55, 0.06 + 0.1 * i, my - 0.15, 0.06 + 0.09 * i, my - 0.06)


def _draw_hair(c: _Canvas, f: _Look) -> None:
    """Hair in front of the head, glasses, and what gets in the way."""
    w, top, r, ink = 1.02 + f.volume, f.top, f.recede, 255 * f.density
    front = f.eye_y - (0.36 if f.fringe and r < 0.2 else 0.6 + 0.1 * f.growth)
    end, hair, x, y = 0.25 + 0.75 * f.length, _layer(), f.eye_x, f.eye_y
    if r > 0.72:  # a bald crown
        c.pair(hair, ink, 1.02, 0.15, 1.07, -0.2, 0.98, -0.6, 0.86, -0.62, 0.9, -0.25, 0.93, 0.1)
    else:
        crown = (0.52 * w, 0.95 * top - 0.7 * f.volume, 0.86 * w, 0.68 * top, w, -0.45, w, -0.02, 0.93, 0.08)
        line = (0.86, -0.3, 0.66, front + 0.12 - 0.4 * r, 0.35, front - 0.35 * r)
        half = np.reshape(crown + line, (-1, 2))
        middle = ((0.3 * f.part, front - 0.06 - 0.15 * r),)
        c.curve(hair, ink, np.concatenate((((0, top - f.volume),), half, middle, half[::-1] * (-1, 1))))
    if f.length > 0.5 and not f.tied:
        lock = (0.72, -0.62, w, -0.5, w + 0.07, 0.2, w + 0.1, end, 0.86, end, 0.86, 0.3, 0.88, -0.2)
        c.pair(hair, 255, *lock)
    c.comb(hair)
    if f.glasses:
        rim = ((x, y + 0.03) + 1.45 * f.eye * _RING * (1.05, 0.85)).ravel()
        c.pair(c.image, f.rim, *rim, *rim[:4], width=0.035)
        c.pair(c.image, f.rim, 0.16, y, 0, y - 0.03, width=0.035)
        c.pair(c.image, f.rim, x + 0.25, y, 0.98, y - 0.03, width=0.03)
    if c.about.occluder < 0.06:
        angle, colour = 350 * c.about.occluder, (np.array((97, 61, 23)) * c.about.backdrop) % 230
        for on, tone in ((c.image, colour), (c.lit, 0)):
            c.curve(on, tone, _RING * (0.55, 0.45) + (1.1 * np.cos(angle), 0.3 + 1.1 * np.sin(angle)))


def _photograph(c: _Canvas, f: _Look) -> Pixels:
    """Light the head by its height map, then exposure, blur, noise."""
    n, u, v, g, my = c.about, c.u[::_FINE, ::_FINE], c.v[::_FINE, ::_FINE], f.growth, f.mouth_y
    blurred = zip((c.lit, c.relief, c.tress), (0.7, 0.7, 2.5), strict=True)
    small = (layer.reduce(_FINE).filter(ImageFilter.GaussianBlur(blur)) for layer, blur in blurred)
    lit, relief, tress = (np.asarray(layer, np.float32) / 255 for layer in small)
    relief *= 1 - tress
    height = np.sqrt(np.clip(1.06 - 0.85 * u**2 - 0.55 * v**2, 0.06, None)) + 0.14 * tress - 0.035 * relief
    bumps = (
        (0, (f.eye_y + f.nose_y) / 2, 0.14, 0.3, 0.07 + 0.11 * g),  # bridge and tip of the nose, its wings
        (0, f.nose_y - 0.07, 0.17, 0.15, 0.1 + 0.04 * g),
        (0.85 * f.nose_x, f.nose_y - 0.03, 0.09, 0.09, 0.05 + 0.03 * g),
        (f.eye_x, f.eye_y, 0.24, 0.17, -0.06 - 0.04 * g - 0.03 * f.sag),  # sockets, cheeks, hollows, jowls
        (0.5, f.nose_y + 0.02, 0.28, 0.26, 0.13 - 0.05 * g + 0.05 * n.smile * g - 0.04 * f.sag),
        (0.62, my + 0.02, 0.2, 0.2, -0.07 * f.sag),
        (0.58, my + 0.24, 0.18, 0.14, 0.1 * f.sag),
        (0, my, 0.4, 0.22, 0.07),  # mouth, chin, brow ridge
        (0, my + 0.15, 0.25, 0.06, -0.05),
        (0, f.chin - 0.14, 0.24, 0.13, 0.07 + 0.04 * f.masculine),
        (0.3, f.eye_y - 0.24, 0.35, 0.09, 0.03 + 0.04 * max(0, f.masculine)),
    )
    for x, y, rx, ry, rise in bumps:
        for side in (1, -1) if x else (1,):
            across = u - np.float32(side * x + n.yaw * _near(x, y))
            height += np.float32(rise) * np.exp(-((across / rx) ** 2) - ((v - y) / ry) ** 2)
    dy, dx = np.gradient(height * (c.zoom / _FINE))
    facing = np.clip((1 - n.light_x * dx - n.light_y * dy) / np.sqrt(1.2 * (1 + dx**2 + dy**2)), 0, 1.05)
    shade = 1 + lit * (1.3 * n.contrast * (facing - 0.8) - 0.42 * relief)
    gloss = lit * 18 * facing**14 * (1 - 0.5 * tress)
    pixels = np.asarray(c.image.reduce(_FINE), np.float32) * shade[..., None] + gloss[..., None]
    pixels *= n.brightness * np.array((1 + n.warmth, 1, 1 - n.warmth), np.float32)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(n.blur))
    pixels = np.asarray(image.convert("L").convert("RGB") if n.grey else image, np.float32)
    return np.clip(pixels + c.rng.normal(0, n.noise, (SIZE, SIZE, 1)), 0, 255).astype(np.uint8)


def _near(x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
    """How far a point of the face stands out towards the camera, 0 to 1."""
    near: Array = np.sqrt(np.clip(1 - np.square(x) - np.square(y) * 0.56, 0, 1))
    return near


def _layer() -> Image.Image:
    """An empty mask."""
    return Image.new("L", (SIZE * _FINE, SIZE * _FINE))
