"""Digits as a person draws them with a mouse on a canvas: a polyline with a thick round pen, white on black.

Each digit has several ways of being written; every number in them is drawn from a range, and the whole is
then slanted, turned, stretched and made to tremble. Coordinates: x to the right, y down, about 0..1.
"""

from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CANVAS = 280  # px, the size of the page's canvas

Rng = np.random.Generator
Stroke = list[tuple[float, float]]


def arc(cx, cy, rx, ry, start, end, points=24) -> Stroke:
    """Degrees clockwise on the screen: 0 is right, 90 is down."""
    angles = np.linspace(start * pi / 180, end * pi / 180, points)
    return [(cx + rx * cos(a), cy + ry * sin(a)) for a in angles]


def curve(*knots, points=12) -> Stroke:
    """Catmull-Rom through the knots."""
    k = np.array([knots[0], *knots, knots[-1]], float)
    out = []
    for p0, p1, p2, p3 in zip(k, k[1:], k[2:], k[3:]):
        for t in np.linspace(0, 1, points, endpoint=False):
            out.append(
                0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                       + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
            )  # fmt: skip
    return [tuple(p) for p in out] + [tuple(knots[-1])]


def zero(r: Rng):
    start = r.uniform(-150, -30)
    rx = r.uniform(0.22, 0.5)
    loop = arc(0.5, 0.5, rx, 0.5, start, start + r.choice([-1, 1]) * r.uniform(325, 385), 40)
    return [loop]


def one(r: Rng):
    x, lean = 0.5, r.uniform(-0.06, 0.06)
    stem = [(x + lean, 0), (x - lean, 1)]
    way = r.integers(4)
    if way == 0:
        return [stem]
    flag = (x + lean - r.uniform(0.12, 0.35), r.uniform(0.12, 0.35))
    if way in (1, 2):
        return [[flag, *stem]]
    reach = r.uniform(0.15, 0.32)
    return [[flag, *stem], [(x - lean - reach, 1), (x - lean + reach, 1)]]


def two(r: Rng):
    low, right = r.uniform(0.85, 1.05), r.uniform(0.8, 1.1)
    left = r.uniform(-0.05, 0.2)
    top = arc(0.5, 0.3, r.uniform(0.3, 0.46), 0.3, r.uniform(165, 235), 360 + r.uniform(5, 40), 20)
    way = r.integers(4)
    if way == 0:  # a sharp corner below
        return [top + [(left, 0.97), (right, low)]]
    if way in (1, 2):  # a loop below, small or large, and a waved foot
        size, x = r.uniform(0.05, 0.22), max(left, 0.05)
        neck = (r.uniform(0.5, 0.68), r.uniform(0.62, 0.78))
        foot = curve(top[-1], neck, (x + size, 0.99), (x - 0.04, 0.98 - size / 2), (x + size, 0.97 - size),
                     (0.62, low - r.uniform(0, 0.08)), (right, low))  # fmt: skip
        return [top + foot]
    bend = curve(top[-1], (0.5, r.uniform(0.62, 0.72)), (left, low), points=8)  # a swung neck
    return [top + bend + curve((left, low), (0.5, low - r.uniform(-0.05, 0.1)), (right, low), points=6)]


def three(r: Rng):
    waist, upper, lower = r.uniform(0.42, 0.5), r.uniform(0.3, 0.4), r.uniform(0.36, 0.48)
    inward = r.uniform(0.4, 0.55)
    belly = arc(inward, (1 + waist) / 2, lower, (1 - waist) / 2, -90, r.uniform(125, 175), 20)
    if r.random() < 0.25:  # a flat top
        return [[(r.uniform(0.05, 0.2), 0), (r.uniform(0.75, 0.9), 0), (inward, waist)] + belly]
    bow = arc(inward, waist / 2, upper, waist / 2, r.uniform(-170, -130), 90, 20)
    nick = [(inward - r.uniform(0, 0.25), waist)] if r.random() < 0.5 else []
    return [bow + nick + belly]


def four(r: Rng):
    bar, stem = r.uniform(0.55, 0.72), r.uniform(0.6, 0.8)
    way = r.integers(3)
    right = r.uniform(0.88, 1.05)
    if way == 0:  # open: an angle and a stem
        corner = r.uniform(0.02, 0.12)
        slope = (r.uniform(0.2, 0.5), 0)
        return [[slope, (corner, bar), (right, bar)], [(stem, r.uniform(0.05, 0.4)), (stem - r.uniform(-0.03, 0.08), 1)]]
    if way == 1:  # closed: a triangle on a stem
        return [[(right, bar), (0.02, bar), (stem, 0), (stem, 1)]]
    cup = curve((r.uniform(0.08, 0.2), 0), (0.08, bar * 0.75), (0.25, bar), (stem, bar * r.uniform(0.9, 1)), points=10)
    return [cup + ([(right, bar)] if r.random() < 0.4 else []), [(stem + 0.03, r.uniform(0, 0.15)), (stem, 1)]]


def five(r: Rng):
    left, neck = r.uniform(0.12, 0.22), r.uniform(0.38, 0.48)
    bowl = curve(
        (left, neck), (0.5, neck - r.uniform(0.02, 0.1)), (r.uniform(0.85, 0.95), r.uniform(0.65, 0.72)),
        (0.5, 1), (r.uniform(0.02, 0.15), r.uniform(0.86, 0.96)),
    )  # fmt: skip
    top = (r.uniform(0.75, 1.2), r.uniform(-0.08, 0.05))
    start = (left + r.uniform(0, 0.15), 0.02)
    if r.random() < 0.6:
        return [[top, start] + bowl]
    return [[start] + bowl, [(start[0], 0.0), top]]


def six(r: Rng):
    loop = r.uniform(0.34, 0.64)
    middle, ry = (1 + loop) / 2, (1 - loop) / 2
    rx = r.uniform(0.28, 0.46)
    if r.random() < 0.4:  # a nearly straight stem, the loop at its right
        stem = [(0.5 - rx + r.uniform(0, 0.35), 0)] + curve((0.5 - rx, middle * 0.7), (0.5 - rx, middle), points=6)
    else:
        bulge = r.uniform(0.3, 0.7)
        stem = curve((r.uniform(0.4, 0.95), 0), (0.5 - rx * bulge, loop * 0.55), (0.5 - rx, middle), points=10)
    return [stem + arc(0.5, middle, rx, ry, 180, -180 + r.uniform(-40, 45), 26)]


def seven(r: Rng):
    corner = (r.uniform(0.85, 1), r.uniform(-0.03, 0.05))
    foot = (r.uniform(0.2, 0.5), 1)
    bend = r.uniform(-0.12, 0.1)
    body = curve(corner, ((corner[0] + foot[0]) / 2 + bend, 0.5), foot, points=8)
    start = [(r.uniform(0, 0.12), r.uniform(-0.02, 0.08))]
    if r.random() < 0.3:
        start = [(start[0][0], r.uniform(0.12, 0.25))] + start
    strokes = [start + body]
    if r.random() < 0.4:
        x, y = (corner[0] + foot[0]) / 2 + bend, r.uniform(0.42, 0.58)
        strokes.append([(x - r.uniform(0.18, 0.32), y + 0.03), (x + r.uniform(0.15, 0.3), y - 0.03)])
    return strokes


def eight(r: Rng):
    waist = r.uniform(0.42, 0.52)
    upper, lower = r.uniform(0.24, 0.38), r.uniform(0.3, 0.44)
    if r.random() < 0.4:  # two rings
        start = r.uniform(0, 360)
        return [
            arc(0.5, waist / 2, upper, waist / 2, start, start + r.uniform(345, 380), 28),
            arc(0.5, (1 + waist) / 2, lower, (1 - waist) / 2, -90, -90 + r.uniform(340, 375), 28),
        ]
    s = curve(
        (0.5 + upper, waist * r.uniform(0.3, 0.5)), (0.5, 0), (0.5 - upper, waist * 0.5), (0.5, waist),
        (0.5 + lower, (1 + waist) / 2), (0.5, 1), (0.5 - lower, (1 + waist) / 2), (0.5, waist),
        (0.5 + upper + r.uniform(-0.08, 0.1), waist * r.uniform(0, 0.55)), points=10,
    )  # fmt: skip
    return [s]


def nine(r: Rng):
    loop, rx = r.uniform(0.36, 0.6), r.uniform(0.26, 0.46)
    right = 0.5 + rx
    ring = arc(0.5, loop / 2, rx, loop / 2, r.uniform(-70, 15), -360 + r.uniform(-30, 10), 28)
    way = r.integers(3)
    if way == 0:  # a straight tail
        tail = [(right, r.uniform(0, loop * 0.4)), (right - r.uniform(-0.02, 0.25), 1)]
    elif way == 1:  # a swung tail
        tail = curve((right, loop / 2), (right - r.uniform(0, 0.1), 0.7), (r.uniform(0.35, 0.6), 1), points=10)
    else:  # a hook
        tail = curve((right, loop / 2), (right, 0.8), (0.5, 1), (r.uniform(0.1, 0.25), r.uniform(0.84, 0.95)))
    return [ring + tail]


DIGITS = [zero, one, two, three, four, five, six, seven, eight, nine]


def hand(digit: int, r: Rng) -> list[np.ndarray]:
    """The strokes of one drawing, about 1 high and centred on 0."""
    slant, turn = r.normal(0.1, 0.2), r.normal(0, 6) * pi / 180
    width = r.uniform(0.45, 1.15)
    shear = np.array([[1, -slant], [0, 1]])
    rotation = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    tremble, bow = r.uniform(0, 0.012), r.uniform(0, 0.03)
    phase, wave = r.uniform(0, 2 * pi, 2), r.uniform(1, 3, 2)
    out = []
    for stroke in DIGITS[digit](r):
        points = (np.array(stroke) - 0.5) * [width, 1]
        points += bow * np.sin(2 * pi * wave * points[:, ::-1] + phase)
        points += r.normal(0, tremble, points.shape) + r.normal(0, 0.015, 2)
        out.append(points @ (rotation @ shear).T)
    return out


def draw(digit: int, r: Rng, pen: tuple[float, float] = (11, 36)) -> np.ndarray:
    """One drawing as uint8 [280, 280]; `pen` is the range of line widths in px."""
    width = r.uniform(*pen)
    # Small digits under a thick pen are blobs to a person, too: keep the height at least six pens.
    height = r.uniform(max(90, 6 * width), 250)
    strokes = [s * height for s in hand(digit, r)]
    every = np.concatenate(strokes)
    fits = min(1, (CANVAS - width) / np.ptp(every, 0).max())
    strokes, every = [s * fits for s in strokes], every * fits
    low, high = every.min(0) - width / 2, every.max(0) + width / 2
    room = CANVAS - (high - low)
    offset = room * r.uniform(0, 1, 2) - low
    image = Image.new("L", (CANVAS, CANVAS))
    pencil = ImageDraw.Draw(image)
    for stroke in strokes:
        points = [tuple(p) for p in stroke + offset]
        pencil.line(points, 255, round(width), "curve")
        for x, y in (points[0], points[-1]):
            pencil.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), 255)
    return np.asarray(image)


def typed(digit: int, r: Rng) -> np.ndarray:
    """A printed digit in the font inside Pillow, so that a rendered "7" is read as well as a drawn one."""
    image = Image.new("L", (CANVAS, CANVAS))
    font = ImageFont.load_default(r.uniform(120, 230))
    stroke = int(r.integers(0, 10))
    ImageDraw.Draw(image).text(
        (140, 140), str(digit), 255, font, anchor="mm", stroke_width=stroke, stroke_fill=255
    )
    tilt = image.rotate(r.normal(0, 5), Image.Resampling.BILINEAR)
    slant = r.uniform(-0.1, 0.3)
    squeeze = r.uniform(0.75, 1.2)
    affine = (1 / squeeze, slant, 140 - 140 / squeeze - slant * 140, 0, 1, 0)
    return np.asarray(tilt.transform(tilt.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR))
