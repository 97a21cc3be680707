"""Decoded clips back to the frames of one video: cross-faded where they overlap, else with soft seams."""

from __future__ import annotations

import numpy as np

REACH = 6
"""Frames on each side of a seam that change, less and less with their distance."""
STRENGTH = 30.0
"""8-bit steps: a jump as large as this is shared out to 1/e, one of twice the size hardly at all."""
_RADIUS = 2  # pixels around each over which a jump is judged


class ClipJoiner:
    """Clips in, the frames of the video out; where two overlap, the later one is faded in linearly.

    Args:
        overlap: frames that neighbouring clips share.
        total: frames to give back; None for all, with those that fill up the last clip.
        soften: even out the jump between clips that do not overlap (:func:`soften_seam`); each is then given
            back one clip late. At least two frames a clip are needed on both sides; others stay as they are.
    """

    def __init__(self, overlap: int = 0, total: int | None = None, *, soften: bool = False) -> None:
        self._overlap, self._total, self._soften = overlap, total, soften
        self._given = 0
        self._tail: list[np.ndarray] = []
        self._before: np.ndarray | None = None

    def push(self, clip: np.ndarray) -> list[np.ndarray]:
        """Take the next clip, uint8 RGB [t, h, w, 3]; give back the frames [h, w, 3] that are settled."""
        if not self._soften:
            return self._join(clip)
        before, self._before = self._before, clip
        if before is None:
            return []
        if min(len(before), len(clip)) > 1:
            before, self._before = soften_seam(before, clip)
        return self._join(before)

    def finish(self) -> list[np.ndarray]:
        """The frames that were held back.

        Raises:
            ValueError: the clips hold fewer than ``total`` frames.
        """
        last = [] if self._before is None else self._join(self._before)
        frames = last + self._limited(self._tail)
        if self._total is not None and self._given < self._total:
            raise ValueError(f"the clips hold {self._given} frames, {self._total} are wanted")
        return frames

    def _join(self, clip: np.ndarray) -> list[np.ndarray]:
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
    mixed = old.astype(np.float32) * (1 - weight) + new.astype(np.float32) * weight
    return np.rint(mixed).astype(np.uint8)


def soften_seam(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two neighbouring clips, uint8 [t, h, w, 3], with the jump between them shared out.

    The jump is what the step from the last frame of ``before`` to the first of ``after`` has in excess of
    the steps next to it. Half of it goes to each side, fading out over :data:`REACH` frames, and only as far
    as its size in the neighbourhood of a pixel speaks for an error.
    """
    reach = min(REACH, len(before) // 2, len(after) // 2)
    end, start = before[-2:].astype(np.float32), after[:2].astype(np.float32)
    jump = start[0] - end[1] - (end[1] - end[0] + start[1] - start[0]) / 2  # [h, w, 3]
    size = _local_mean(np.abs(jump).mean(axis=-1))
    share = 0.5 * jump * np.exp(-np.square(size / STRENGTH))[..., None]
    fading = (1 - np.arange(reach, dtype=np.float32) / reach)[:, None, None, None]
    before, after = before.copy(), after.copy()
    before[len(before) - reach :] = _shifted(before[len(before) - reach :], share * fading[::-1])
    after[:reach] = _shifted(after[:reach], -share * fading)
    return before, after


def _shifted(frames: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(frames + by, 0, 255)).astype(np.uint8)


def _local_mean(plane: np.ndarray) -> np.ndarray:
    """Mean over the square of ``2 * _RADIUS + 1`` pixels around each pixel of [h, w], edges repeated."""
    width = 2 * _RADIUS + 1
    sums = np.pad(plane.astype(np.float64), _RADIUS, mode="edge").cumsum(axis=0).cumsum(axis=1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    window = sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width] + sums[:-width, :-width]
    return (window / width**2).astype(np.float32)
