from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.video.clips import ClipJoiner


def joined(
    clips: list[np.ndarray], overlap: int, total: int | None = None, soften: bool = False
) -> list[np.ndarray]:
    joiner = ClipJoiner(overlap, total, soften=soften)
    return [frame for clip in clips for frame in joiner.push(clip)] + joiner.finish()


def test_overlap_is_faded() -> None:
    dark, light = np.zeros((4, 1, 1, 3), np.uint8), np.full((4, 1, 1, 3), 240, np.uint8)
    assert [int(frame[0, 0, 0]) for frame in joined([dark, light], 2, 6)] == [0, 0, 80, 160, 240, 240]


def test_frames_come_as_soon_as_they_are_settled() -> None:
    joiner, clip = ClipJoiner(3), np.zeros((8, 1, 1, 3), np.uint8)
    assert [len(joiner.push(clip)), len(joiner.push(clip)), len(joiner.finish())] == [5, 5, 3]
    joiner = ClipJoiner(soften=True)
    assert [len(joiner.push(clip)), len(joiner.push(clip)), len(joiner.finish())] == [4, 8, 4]
    joiner, longer = ClipJoiner(soften=True), np.zeros((17, 1, 1, 3), np.uint8)
    assert [len(joiner.push(longer)), len(joiner.push(longer)), len(joiner.finish())] == [11, 17, 6]


def test_one_image_is_one_clip() -> None:
    image = np.full((2, 3, 3), 7, np.uint8)
    assert np.array_equal(joined([image[None]], 0, 1), [image])


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="hold 17 frames, 18 are wanted"):
        joined([np.zeros((17, 1, 1, 3), np.uint8)], 0, 18)


def test_overlap_as_long_as_the_clip_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot overlap"):
        joined([np.zeros((17, 1, 1, 3), np.uint8)], 17)


def test_nothing_makes_nothing() -> None:
    assert joined([], 0, 0) == []
