"""Frames out of the middle of a clip: what samples are cut from."""

from __future__ import annotations

import math

import numpy as np

from sweettok_cli.data.entry import Entry, Facts
from sweettok_cli.errors import SweettokError
from sweettok_cli.video.reader import Size, read_clip


def read_stretch(
    entry: Entry, facts: Facts, position: float, wanted: int, fps: float = 0, size: Size = None
) -> np.ndarray:
    """``wanted`` frames of an entry, uint8 RGB [t, h, w, 3]; a shorter one repeats its last one.

    Args:
        entry: where they lie.
        facts: how long it is.
        position: 0 is its beginning, below 1 the last place from which there are enough frames.
        wanted: how many frames.
        fps: above 0, so many moments a second, by their time stamps.
        size: as :func:`read_clip` has it.

    Raises:
        SweettokError: it cannot be read, or has no frame.
    """
    first, length = entry.part(facts)
    span = math.ceil((wanted - 1) * facts.rate / fps) + 1 if fps else wanted
    start = first + int(position * (max(0, length - span) + 1))
    count = wanted
    if entry.end < math.inf and length < span:  # what lies behind the part is not shown
        count = min(wanted, int((length - 1) * fps / facts.rate + 1e-6) + 1 if fps and facts.rate else length)
    try:
        frames = read_clip(entry.source(), start, count, rate=fps, size=size)
    except SweettokError:
        if start == first:
            raise
        frames = read_clip(entry.source(), first, count, rate=fps, size=size)  # shorter than it declares
    missing = wanted - len(frames)
    return np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)]) if missing > 0 else frames


def with_short_side(side: int, width: int, height: int) -> tuple[int, int]:
    """Width and height scaled so that the smaller one is ``side``."""
    scale = side / min(width, height)
    return max(side, round(width * scale)), max(side, round(height * scale))
