"""Decoded clips back to the frames of one video: cross-faded where they overlap, else with soft seams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

REACH = 6
"""Frames on each side of a seam that change, less and less with their distance."""
STRENGTH = 30.0
"""8-bit steps: a jump as large as this is shared out to 1/e, one of twice the size hardly at all."""
_RADIUS = 2  # pixels around each over which a jump is judged
_ROWS = 128  # that are worked on at once


class ClipJoiner:
    """Clips in, the frames of the video out; where two overlap, the later one is faded in linearly.

    Args:
        overlap: frames that neighbouring clips share.
        total: frames to give back; None for all, with those that fill up the last clip.
        soften: even out the jump between clips that do not overlap (:func:`soften_seam`); the frames within
            reach of a seam are held back until the next clip is there. At least two frames a clip are needed
            on both sides; others stay as they are.
    """

    def __init__(self, overlap: int = 0, total: int | None = None, *, soften: bool = False) -> None:
        self._overlap, self._total, self._soften = overlap, total, soften
        self._given = 0
        self._tail: list[np.ndarray] = []
        self._before: list[np.ndarray] = []
        self._reach = 0  # frames of the clip before that a seam may change

    def push(self, clip: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Take the next clip, uint8 RGB [h, w, 3] each; give back the frames that are settled.

        Where seams are softened, frames of the clip are changed.
        """
        if not self._soften:
            return self._join(clip)
        if len(clip) > 1 and self._reach:
            soften_seam(self._before, clip, min(self._reach, len(clip) // 2))
        settled = self._join(self._before)
        self._reach = min(REACH, len(clip) // 2)
        held = len(clip) - max(2, self._reach) if self._reach else 0
        self._before = list(clip[held:])
        return settled + self._join(clip[:held])

    def finish(self) -> list[np.ndarray]:
        """The frames that were held back.

        Raises:
            ValueError: the clips hold fewer than ``total`` frames.
        """
        frames = self._join(self._before) + self._limited(self._tail)
        if self._total is not None and self._given < self._total:
            raise ValueError(f"the clips hold {self._given} frames, {self._total} are wanted")
        return frames

    def _join(self, clip: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not len(clip):
            return []
        if not 0 <= self._overlap < len(clip):
            raise ValueError(f"clips of {len(clip)} frames cannot overlap by {self._overlap}")
        faded = [
            _fade(old, new, (i + 1) / (self._overlap + 1))
            for i, (old, new) in enumerate(zip(self._tail, clip, strict=False))
        ]
        joined = faded + list(clip[len(self._tail) :])
        settled = len(joined) - self._overlap
        self._tail = joined[settled:]
        return self._limited(joined[:settled])

    def _limited(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        if self._total is not None:
            frames = frames[: self._total - self._given]
        self._given += len(frames)
        return frames


def _fade(old: np.ndarray, new: np.ndarray, weight: float) -> np.ndarray:
    mixed = np.empty_like(new)
    for rows in _bands(len(new)):
        sum_ = old[rows].astype(np.float32) * (1 - weight) + new[rows].astype(np.float32) * weight
        mixed[rows] = np.rint(sum_).astype(np.uint8)
    return mixed


def soften_seam(before: Sequence[np.ndarray], after: Sequence[np.ndarray], reach: int) -> None:
    """Share out the jump between two neighbouring clips, whose frames, uint8 [h, w, 3], are changed.

    The jump is what the step from the last frame of ``before`` to the first of ``after`` has in excess of
    the steps next to it. Half of it goes to each side, fading out over ``reach`` frames, and only as far
    as its size in the neighbourhood of a pixel speaks for an error.
    """
    nearest = [*before[-2:], *after[:2]]
    above = np.stack([frame[:0] for frame in nearest])  # unchanged rows over those that are next
    for rows in _bands(len(after[0])):
        given = np.stack([frame[rows.start : rows.stop + _RADIUS] for frame in nearest])
        last, end, start, second = np.concatenate([above, given], axis=1).astype(np.float32)
        jump = start - end - (end - last + second - start) / 2  # [rows, w, 3]
        size = _local_mean(np.abs(jump).mean(axis=-1))
        share = 0.5 * jump * np.exp(-np.square(size / STRENGTH))[..., None]
        share = share[above.shape[1] :][: rows.stop - rows.start]
        for index in range(reach):
            fading = np.float32(1 - index / reach)
            for frame, by in ((before[-1 - index], share * fading), (after[index], -share * fading)):
                frame[rows] = np.rint(np.clip(frame[rows] + by, 0, 255)).astype(np.uint8)
        above = given[:, max(0, rows.stop - rows.start - _RADIUS) : rows.stop - rows.start]


def _local_mean(plane: np.ndarray) -> np.ndarray:
    """Mean over the square of ``2 * _RADIUS + 1`` pixels around each pixel of [h, w], edges repeated."""
    width = 2 * _RADIUS + 1
    sums = np.pad(plane.astype(np.float64), _RADIUS, mode="edge").cumsum(axis=0).cumsum(axis=1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    window = sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width] + sums[:-width, :-width]
    return (window / width**2).astype(np.float32)


def _bands(height: int) -> list[slice]:
    """Rows of a frame, some at a time: what is computed in between takes eight times the room of pixels."""
    return [slice(top, min(top + _ROWS, height)) for top in range(0, height, _ROWS)]
