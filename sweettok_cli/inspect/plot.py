"""PSNR and SSIM of every frame as a picture, drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageDraw import ImageDraw as Pen

Point = tuple[float, float]
Colour = tuple[int, int, int]

WIDTH, HEIGHT = 1200, 720
BACKGROUND = (255, 255, 255)
INK = (32, 36, 42)
FAINT = (120, 126, 134)
GRID = (232, 234, 237)
BORDER = (196, 201, 208)
MOST_BORDERS = 80  # more than that are a grey wall and are left out
COLOURS = ((28, 100, 196), (200, 92, 20))

_FINE = 2  # drawn twice as large and shrunk: smooth lines without another library
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN = 84, 28, 64, 62, 54  # _BETWEEN: tick labels, then the next heading


def draw_scores(
    title: str, psnr: Sequence[float], ssim: Sequence[float], borders: Sequence[int]
) -> Image.Image:
    """Two curves over the frame number, PSNR (dB) above SSIM: RGB, :data:`WIDTH` x :data:`HEIGHT` pixels.

    There is at least one frame. ``borders``, the frames but 0 with which a clip begins, are marked.
    """
    sheet = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    dashes = list(borders) if len(borders) <= MOST_BORDERS else []
    clips = f"{len(borders) + 1} clips{', borders dashed' * bool(dashes)}" if borders else "1 clip"
    aside = f"{len(psnr)} frame{'s' * (len(psnr) > 1)}, {clips}"
    _text(pen, (WIDTH - _RIGHT, 28), aside, FAINT, 15, "rm")
    _text(pen, (_LEFT, 28), _shortened(title, 20, WIDTH - _LEFT - _RIGHT - 10 * len(aside)), INK, 20, "lm")

    height = (HEIGHT - _TOP - _BOTTOM - _BETWEEN) // 2
    for row, (name, unit, digits, values) in enumerate((("PSNR", " dB", 2, psnr), ("SSIM", "", 4, ssim))):
        top = _TOP + row * (height + _BETWEEN)
        mean, lowest = (f"{value:.{digits}f}{unit}" for value in (sum(values) / len(values), min(values)))
        _text(pen, (_LEFT, top + 4), f"{name}   mean {mean}   lowest {lowest}", COLOURS[row], 15, "lm")
        box = (_LEFT, top + 20, WIDTH - _RIGHT, top + height)
        _curve(pen, box, values, dashes, COLOURS[row])
    _text(pen, ((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 22), "frame", FAINT, 15, "mm")
    return sheet.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def _curve(
    pen: Pen, box: tuple[int, int, int, int], values: Sequence[float], borders: Sequence[int], colour: Colour
) -> None:
    """One pair of axes with its curve in ``box``: left, top, right, bottom in pixels of the picture."""
    left, top, right, bottom = box
    last = max(1, len(values) - 1)
    low, high = _range(values)

    def x(frame: float) -> float:
        return left + (right - left) * frame / last if len(values) > 1 else (left + right) / 2

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    step = _step(high - low, 5)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        _line(pen, [(left, y(number * step)), (right, y(number * step))], GRID, 1)
        _text(pen, (left - 12, y(number * step)), f"{number * step:.{digits}f}", FAINT, 14, "rm")
    for frame in range(0, len(values), max(1, round(_step(last, 10)))):
        _line(pen, [(x(frame), bottom), (x(frame), bottom + 5)], FAINT, 1)
        _text(pen, (x(frame), bottom + 17), str(frame), FAINT, 14, "mm")
    for frame in borders:
        for dash in range(top, bottom, 8):
            _line(pen, [(x(frame - 0.5), dash), (x(frame - 0.5), min(bottom, dash + 4))], BORDER, 1.5)
    _line(pen, [(left, bottom), (right, bottom)], FAINT, 1)

    points = [(x(frame), y(value)) for frame, value in enumerate(values)]
    _line(pen, points, colour, 2 if len(points) <= 400 else 1)
    if len(points) <= 150:
        for across, down in points:
            ring = [_FINE * side for side in (across - 3.5, down - 3.5, across + 3.5, down + 3.5)]
            pen.ellipse(ring, colour, BACKGROUND, _FINE)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """An axis that holds all values with a little air, and is not empty where they are all alike."""
    low, high = min(values), max(values)
    air = max((high - low) * 0.12, abs(high) * 0.002, 1e-3)
    return low - air, high + air


def _step(span: float, lines: int) -> float:
    """A round number (1, 2 or 5 times a power of ten) that divides ``span`` into about ``lines`` parts."""
    rough = span / lines
    power = 10.0 ** math.floor(math.log10(rough))
    return power * min((1, 2, 5, 10), key=lambda factor: abs(math.log(factor * power / rough)))


def _line(pen: Pen, points: Sequence[Point], colour: Colour, width: float) -> None:
    fine = [(across * _FINE, down * _FINE) for across, down in points]
    pen.line(fine, colour, round(width * _FINE), joint="curve")


def _shortened(text: str, size: int, room: float) -> str:
    """``text``, its middle left out where it is wider than ``room`` pixels."""
    font = ImageFont.load_default(size)
    keep = len(text)
    while font.getlength(text) > room and keep > 8:
        keep -= 1
        text = text[: keep // 2] + "..." + text[-(keep // 2) :]
    return text


def _text(pen: Pen, place: Point, text: str, colour: Colour, size: int, anchor: str) -> None:
    font = ImageFont.load_default(size * _FINE)
    pen.text((place[0] * _FINE, place[1] * _FINE), text, colour, font, anchor=anchor)
