"""Where tokens are, as colours over the frames: dark squares have few, bright ones many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from sweettok_cli.tokens.ragged import TokenMap

#: Colours from none to most, at even steps: as they get brighter, they change from blue over red to yellow.
_COLOURS = np.array([(12, 16, 48), (84, 22, 108), (178, 44, 98), (236, 110, 50), (250, 226, 120)], np.float32)
_SOURCE = 0.35  # of the picture, grey, that stays to be seen below


def heat(frames: Iterable[np.ndarray], where: TokenMap, most: float) -> Iterator[np.ndarray]:
    """Frames, uint8 RGB ``[h, w, 3]``, in grey below the colours of their tokens.

    Args:
        frames: as long as ``where``.
        where: one map a frame, [frames, rows, columns]; what lies outside the frame is padding and left out.
        most: tokens of a square that have the brightest colour.
    """
    for frame, tokens in zip(frames, where.tokens, strict=True):
        height, width = frame.shape[:2]
        scaled = tokens / max(most, 1e-9) * (len(_COLOURS) - 1)
        steps = np.arange(len(_COLOURS))
        colours = np.stack([np.interp(scaled, steps, channel) for channel in _COLOURS.T], -1)
        over = colours.repeat(where.side, axis=0).repeat(where.side, axis=1)[:height, :width]
        grey = frame.mean(axis=-1, keepdims=True)
        yield np.rint(_SOURCE * grey + (1 - _SOURCE) * over).astype(np.uint8)
