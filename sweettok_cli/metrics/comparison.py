"""A reconstruction held against its source, frame by frame as the frames come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.metrics.ssim import ssim


@dataclass
class Comparison:
    """Scores of every frame of one video, and how its error moves from frame to frame.

    Only the frame before is kept, so a video of any length can be compared.

    Attributes:
        psnr: decibels of each frame so far.
        ssim: similarity of each frame so far.
        borders: numbers of the frames, 0 excluded, with which a clip begins.
        flicker: what the borders between clips look like in motion.
    """

    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    borders: list[int] = field(default_factory=list)
    flicker: SeamFlicker = field(default_factory=lambda: SeamFlicker())
    _error: np.ndarray | None = None

    def add(self, source: np.ndarray, reconstruction: np.ndarray, starts_clip: bool) -> None:
        """Take the next pair of frames, uint8 ``[h, w, 3]``; ``starts_clip`` marks the first of a clip."""
        if starts_clip and self.psnr:
            self.borders.append(len(self.psnr))
        self.psnr.append(psnr(source, reconstruction))
        self.ssim.append(ssim(source, reconstruction))
        change, self._error = error_change(source, reconstruction, self._error)
        if change is not None:
            self.flicker.add(change, starts_clip)

    @property
    def frames(self) -> int:
        """Frames compared so far."""
        return len(self.psnr)

    @property
    def worst(self) -> float:
        """As :func:`worst_clip`."""
        return worst_clip(self.psnr, self.borders)


def worst_clip(psnr: Sequence[float], borders: Sequence[int]) -> float:
    """Decibels of the clip with most error, of the mean square error of its frames.

    Args:
        psnr: of all frames, in decibels.
        borders: numbers of the frames, 0 excluded, with which a clip begins.
    """
    errors = 10 ** (-np.array(psnr) / 10)
    clips = pairwise([0, *borders, len(psnr)])
    return -10 * math.log10(max(float(errors[start:end].mean()) for start, end in clips))


def error_change(
    source: np.ndarray, reconstruction: np.ndarray, last: np.ndarray | None
) -> tuple[float | None, np.ndarray]:
    """By how much the error differs from that of the frame before, in 8-bit steps; and the error itself.

    Args:
        source: uint8 ``[h, w, 3]``.
        reconstruction: uint8 of the same shape.
        last: the error of the frame before, int16 ``[h, w, 3]`` in [-255, 255]; None for the first frame, of
            which there is no change.
    """
    error = np.subtract(reconstruction, source, dtype=np.int16)
    return None if last is None else float(np.abs(error - last).mean()), error


@dataclass
class SeamFlicker:
    """How much more the error jumps where one clip ends and the next begins than it does inside clips.

    Let ``e_t`` be the error image of frame t, reconstruction minus source, and ``d_t`` the mean of ``|e_t -
    e_(t-1)|`` over pixels and channels. :attr:`ratio` is the mean of ``d_t`` over the frames that begin a
    clip, divided by its mean over all others; motion and cuts that are reproduced leave no trace in it. 1
    means that seams cannot be told from any other moment, 2 that the picture jumps twice as far there.
    """

    at_borders: float = 0.0
    inside: float = 0.0
    borders: int = 0
    others: int = 0

    def add(self, change: float, at_border: bool) -> None:
        """Take ``d_t`` of the next frame, in 8-bit steps."""
        if at_border:
            self.at_borders += change
            self.borders += 1
        else:
            self.inside += change
            self.others += 1

    def merge(self, other: SeamFlicker) -> None:
        """Take all that another video has seen: every frame of every video counts alike."""
        self.at_borders += other.at_borders
        self.inside += other.inside
        self.borders += other.borders
        self.others += other.others

    @property
    def ratio(self) -> float | None:
        """Border change over inside change; None without a border or where nothing changes inside clips."""
        if not self.borders or not self.inside:
            return None
        return (self.at_borders / self.borders) / (self.inside / self.others)
