"""Clips that no camera makes: flat fields, stripes, gradients, drawings, text and screens, to train on.

Cameras seldom see saturated colours, edges without blur and surfaces without noise; a network that has only
learned from them draws a grid over each. Every clip is a function of its generator of random numbers, so
that nothing needs to be stored and any sample can be made again.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Random = np.random.Generator
Colour = tuple[int, int, int]
Draw = Callable[[Random, int, int], Iterator[np.ndarray] | Iterator[Image.Image]]

_LETTERS = np.array(list(string.ascii_letters + string.digits + "    "))
_LIGHT, _INK, _LINE = (245, 245, 245), (30, 30, 30), (90, 90, 90)


def synthetic_clip(random: Random, frames: int, side: int) -> tuple[np.ndarray, str]:
    """One clip, uint8 RGB [frames, side, side, 3], and the name of its kind."""
    names = list(_KINDS)
    shares = np.array([share for _, share in _KINDS.values()])
    name = names[random.choice(len(names), p=shares / shares.sum())]
    pictures = _KINDS[name][0](random, frames, side)
    clip = np.stack([np.rint(np.asarray(picture)) for picture in pictures])
    return clip.clip(0, 255).astype(np.uint8), name


def colour(random: Random) -> Colour:
    """A colour; most lie at or near corners and edges of the RGB cube, some are greys."""
    values = random.integers(0, 256, 3)
    draw = random.random()
    if draw < 0.4:
        values = np.where(random.random(3) < 0.85, random.integers(0, 2, 3) * 255, values)
    elif draw < 0.65:  # a hue at its purest, orange or violet: one channel full, one empty
        values = random.permutation(np.array([0, 255, values[0]]))
    elif draw < 0.75:
        values[:] = values[0]
    return int(values[0]), int(values[1]), int(values[2])


def flat(random: Random, frames: int, side: int) -> Iterator[np.ndarray]:
    """One colour, still or fading into another."""
    first, last = np.array(colour(random)), np.array(colour(random))
    if random.random() < 0.7:
        last = first
    for share in np.linspace(0, 1, frames):
        yield np.broadcast_to((1 - share) * first + share * last, (side, side, 3))


def fields(random: Random, frames: int, side: int) -> Iterator[np.ndarray]:
    """Stripes or squares of a few flat colours, still or drifting."""
    cell = int(random.integers(12, 70))
    table = np.array([colour(random) for _ in range(int(random.integers(2, 6)))], np.uint8)
    speed = random.integers(-3, 4, 2) * int(random.random() < 0.5)
    along = random.integers(0, 2, 2) if random.random() < 0.7 else np.array([1, 1])
    places = np.arange(side)
    for t in range(frames):
        rows, columns = ((places + s * t) // cell * a for s, a in zip(speed, along, strict=True))
        yield table[(rows[:, None] + columns) % len(table)]


def gradient(random: Random, frames: int, side: int) -> Iterator[np.ndarray]:
    """From one colour to another and back, along a line or around a point, still or moving."""
    first, last = (np.array(colour(random), np.float32) for _ in range(2))
    angle, centre, around = random.random() * 2 * math.pi, random.random(2) * side, random.random() < 0.5
    speed = random.normal() * 2 * int(random.random() < 0.5)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    for t in range(frames):
        if around:
            place = np.hypot(y - centre[0] - speed * t, x - centre[1]) / side
        else:
            place = (x * math.cos(angle) + y * math.sin(angle) + speed * t) / side
        share = np.abs(place % 2 - 1)[..., None].astype(np.float32)
        yield last + share * (first - last)


class Shape(NamedTuple):
    """One shape of a drawing."""

    corners: int  # 1 is an ellipse, 2 an upright rectangle
    start: np.ndarray  # y, x
    speed: np.ndarray  # pixels a frame
    size: float
    fill: Colour
    outline: int  # its width in pixels
    turn: float  # degrees a frame


def drawing(random: Random, frames: int, side: int) -> Iterator[Image.Image]:
    """Shapes of flat colour, most with outlines, that move over a flat ground."""
    ground, line = colour(random), (0, 0, 0) if random.random() < 0.7 else colour(random)
    shapes = [
        Shape(
            corners=int(random.integers(1, 7)),
            start=random.random(2) * side,
            speed=random.normal(size=2) * 2 * int(random.random() < 0.6),
            size=float(random.uniform(8, max(side / 2.5, 9))),
            fill=colour(random),
            outline=int(random.integers(0, 5)),
            turn=random.normal() * 3,
        )
        for _ in range(int(random.integers(2, 9)))
    ]
    for t in range(frames):
        image = Image.new("RGB", (side, side), ground)
        draw = ImageDraw.Draw(image)
        for shape in shapes:
            half, outline = shape.size / 2, line if shape.outline else None
            y, x = (shape.start + shape.speed * t + shape.size) % (side + 2 * shape.size) - shape.size
            box = [x - half, y - half, x + half, y + half]
            if shape.corners == 1:
                draw.ellipse(box, shape.fill, outline, shape.outline)
            elif shape.corners == 2:
                draw.rectangle(box, shape.fill, outline, shape.outline)
            else:
                draw.regular_polygon((x, y, half), shape.corners, shape.turn * t, shape.fill, outline)
        yield image


def text(random: Random, frames: int, side: int) -> Iterator[np.ndarray]:
    """Lines of letters, still or scrolling: a window that moves over a page."""
    plain = random.random() < 0.5
    ground, ink = ((255, 255, 255), (0, 0, 0)) if plain else (colour(random), colour(random))
    size = int(random.integers(9, 40))
    speed = float(random.uniform(-3, 3)) * int(random.random() < 0.5)
    height = side + math.ceil(abs(speed) * frames)
    page, font = Image.new("RGB", (side, height), ground), ImageFont.load_default(size)
    draw = ImageDraw.Draw(page)
    for y in range(-size // 2, height, size + size // 4):
        draw.text((4, y), letters(random, 2 + 3 * side // size), ink, font)
    lines = np.asarray(page)
    for t in range(frames):
        y = round(speed * t) if speed >= 0 else round(speed * (t + 1 - frames))
        yield lines[y : y + side]


def screen(random: Random, frames: int, side: int) -> Iterator[Image.Image]:
    """Windows with bars, buttons and small text on a desktop, and a pointer that moves."""
    image, font = Image.new("RGB", (side, side), colour(random)), ImageFont.load_default(10)
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(1, 4))):
        x, y = (int(v) for v in random.integers(-20, max(side - 30, 1), 2))
        w, h = (int(v) for v in random.integers(min(50, side), side + 1, 2))
        pane = _LIGHT if random.random() < 0.6 else colour(random)
        draw.rectangle([x, y, x + w, y + h], pane, _LINE)
        draw.rectangle([x, y, x + w, y + 14], colour(random))
        draw.text((x + 4, y + 1), letters(random, 8), (255, 255, 255), font)
        for row in range(y + 20, y + h - 10, 13):
            ink = _INK if random.random() < 0.7 else colour(random)
            draw.text((x + 6, row), letters(random, w // 7), ink, font)
            if random.random() < 0.15:
                draw.rectangle([x + 6, row, x + 46, row + 11], colour(random), _LINE)
    start, speed = random.random(2) * side, random.normal(size=2) * 3
    for t in range(frames):
        shown = image.copy()
        x, y = (start + speed * t) % side
        arrow = [(x, y), (x, y + 14), (x + 4, y + 10), (x + 10, y + 10)]
        ImageDraw.Draw(shown).polygon(arrow, (255, 255, 255), (0, 0, 0))
        yield shown


def letters(random: Random, count: int) -> str:
    """``count`` letters, digits and spaces."""
    return "".join(random.choice(_LETTERS, count))


#: How each kind is drawn, and its share of the clips.
_KINDS: dict[
    str, tuple[Callable[[Random, int, int], Iterator[np.ndarray] | Iterator[Image.Image]], float]
] = {
    "flat": (flat, 0.3),
    "fields": (fields, 0.15),
    "gradient": (gradient, 0.15),
    "drawing": (drawing, 0.2),
    "text": (text, 0.1),
    "screen": (screen, 0.1),
}
