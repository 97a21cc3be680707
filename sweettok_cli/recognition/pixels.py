"""A clip as its mean picture: the baseline that knows no tokens."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sweettok_cli.data.datasets import Item
from sweettok_cli.data.frames import middle_frames, open_source
from sweettok_cli.errors import SweettokError

SIDE = 16  # pixels of the mean picture


def mean_picture(item: Item, frames: int) -> np.ndarray:
    """The mean of a video's frames, each of which is averaged down to a square; float32 [SIDE * SIDE * 3].

    Args:
        item: a video or picture.
        frames: so many in its middle.

    Raises:
        SweettokError: it cannot be read.
    """
    total, count = np.zeros((SIDE, SIDE, 3)), 0
    for frame in middle_frames(open_source(item), frames):
        total += np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BOX))
        count += 1
    if not count:
        raise SweettokError(f"{item.path} holds no frame that can be decoded; it is damaged, fetch it again.")
    return (total / count / 255).astype(np.float32).ravel()
