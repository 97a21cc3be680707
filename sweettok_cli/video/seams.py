"""Seams between clips that were decoded apart: a deblocking filter in time.

Each clip has an error pattern of its own, which stands still inside the clip and jumps where the next one
begins: the eye sees it as flicker. The jump is shared out over some frames on both sides, where it is small
enough to be an error; large jumps are cuts or motion and stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

REACH = 6
"""Frames on each side of a seam that change, less and less with their distance."""
STRENGTH = 30.0
"""8-bit steps: a jump as large as this is shared out to 1/e, one of twice the size hardly at all."""
_RADIUS = 2  # pixels around each over which a jump is judged


def soften_seams(clips: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Clips [t, h, w, 3] uint8 as they come, with the seams between neighbours softened, one clip late.

    For clips that do not overlap. At least two frames a clip are needed on both sides; others stay as they
    are.
    """
    before: np.ndarray | None = None
    for clip in clips:
        if before is not None:
            if min(len(before), len(clip)) > 1:
                before, clip = soften_seam(before, clip)
            yield before
        before = clip
    if before is not None:
        yield before


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
