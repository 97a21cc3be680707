"""Frames to clips of a fixed length and back, streaming in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

CLIP_FRAMES = 17


@dataclass(frozen=True)
class Clip:
    """A run of consecutive frames.

    Attributes:
        frames: uint8 RGB [length, h, w, 3].
        valid: how many of them no earlier clip holds and the source really has: the overlap at the front and
            the repeated frames at the end are not counted.
    """

    frames: np.ndarray
    valid: int


def _check(length: int, overlap: int) -> None:
    if length < 1 or not 0 <= overlap < length:
        raise ValueError(f"clips of {length} frames cannot overlap by {overlap}")


def count_clips(total: int, length: int = CLIP_FRAMES, overlap: int = 0) -> int:
    """How many clips :func:`cut` makes of ``total`` frames."""
    _check(length, overlap)
    if total <= 0:
        return 0
    return 1 + max(0, -(-(total - length) // (length - overlap)))


def cut(frames: Iterable[np.ndarray], length: int = CLIP_FRAMES, overlap: int = 0) -> Iterator[Clip]:
    """Cut frames into clips of ``length``; each starts with the last ``overlap`` frames of the one before.

    The last clip is filled up by repeating the last frame. Memory holds one clip, however long the video.

    Args:
        frames: uint8 RGB [h, w, 3], all of one size.
        length: frames in a clip.
        overlap: frames shared by neighbouring clips, 0 to ``length - 1``.
    """
    _check(length, overlap)
    held: list[np.ndarray] = []
    fresh = 0
    for frame in frames:
        held.append(frame)
        fresh += 1
        if len(held) == length:
            yield Clip(np.stack(held), fresh)
            held = held[length - overlap :]
            fresh = 0
    if fresh:
        held.extend([held[-1]] * (length - len(held)))
        yield Clip(np.stack(held), fresh)


def cut_stream(frames: Iterable[np.ndarray], length: int, multiple: int) -> Iterator[Clip]:
    """Cut frames into the pieces of one stream: the first frame alone, then ``length`` frames each.

    The last piece is filled up to a multiple of ``multiple`` frames by repeating the last frame. Memory holds
    one piece.

    Args:
        frames: uint8 RGB [h, w, 3], all of one size.
        length: frames in a piece, a multiple of ``multiple``.
        multiple: frames that one step of the model covers.
    """
    if multiple < 1 or length < 1 or length % multiple:
        raise ValueError(f"pieces of {length} frames are not whole multiples of {multiple}")
    held: list[np.ndarray] = []
    first = True
    for frame in frames:
        held.append(frame)
        if first or len(held) == length:
            yield Clip(np.stack(held), len(held))
            held, first = [], False
    if held:
        valid = len(held)
        held.extend([held[-1]] * (-valid % multiple))
        yield Clip(np.stack(held), valid)


def join(clips: Iterable[np.ndarray], overlap: int, total: int | None = None) -> Iterator[np.ndarray]:
    """Undo :func:`cut`: the ``total`` first frames of the joined clips.

    Where two clips overlap, the later one is faded in linearly, which hides the seam that two separately
    decoded clips would show. Clips that agree on the shared frames come back exactly.

    Args:
        clips: uint8 RGB [t, h, w, 3], in order.
        overlap: frames shared by neighbouring clips, as given to :func:`cut`.
        total: frames to give back; None for all, with those that fill up the last clip.

    Raises:
        ValueError: the clips hold fewer than ``total`` frames.
    """
    given = 0
    tail: list[np.ndarray] = []
    for clip in clips:
        _check(len(clip), overlap)
        faded = [
            _fade(old, new, (i + 1) / (overlap + 1))
            for i, (old, new) in enumerate(zip(tail, clip, strict=False))
        ]
        joined = faded + list(clip[len(tail) :])
        tail = joined[len(joined) - overlap :]
        for frame in joined[: len(joined) - overlap]:
            if given == total:
                return
            given += 1
            yield frame
    for frame in tail:
        if given == total:
            return
        given += 1
        yield frame
    if total is not None and given < total:
        raise ValueError(f"the clips hold {given} frames, {total} are wanted")


def _fade(old: np.ndarray, new: np.ndarray, weight: float) -> np.ndarray:
    mixed = old.astype(np.float32) * (1 - weight) + new.astype(np.float32) * weight
    return np.rint(mixed).astype(np.uint8)


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
