from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweettok_cli.video.clips import count_clips, cut, join


def numbered(total: int) -> list[np.ndarray]:
    return [np.full((2, 3, 3), i * 4, np.uint8) for i in range(total)]


@pytest.mark.parametrize("overlap", range(9))
def test_join_undoes_cut_for_every_length(overlap: int) -> None:
    for total in range(1, 61):
        frames = numbered(total)
        clips = list(cut(frames, 17, overlap))
        assert all(clip.frames.shape == (17, 2, 3, 3) for clip in clips)
        assert sum(clip.valid for clip in clips) == total
        assert len(clips) == count_clips(total, 17, overlap)
        joined = list(join((clip.frames for clip in clips), overlap, total))
        assert np.array_equal(np.stack(joined), np.stack(frames))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_join_undoes_cut_for_any_clip_length(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 20))
    overlap = data.draw(st.integers(0, length - 1))
    seed = data.draw(st.integers(0, 999))
    total = data.draw(st.integers(1, 40))
    frames = list(np.random.default_rng(seed).integers(0, 256, (total, 2, 2, 3), dtype=np.uint8))
    clips = list(cut(frames, length, overlap))
    joined = list(join((clip.frames for clip in clips), overlap, total))
    assert np.array_equal(np.stack(joined), np.stack(frames))


def test_last_clip_repeats_its_last_frame() -> None:
    *_, last = cut(numbered(20), 17)
    assert last.valid == 3
    assert (last.frames[3:] == 19 * 4).all()


def test_cut_reads_no_further_than_the_clip_it_gives() -> None:
    taken: list[int] = []

    def frames():
        for i in range(100):
            taken.append(i)
            yield np.zeros((2, 2, 3), np.uint8)

    next(cut(frames(), 17, 4))
    assert len(taken) == 17


def test_overlap_is_faded() -> None:
    dark, light = np.zeros((4, 1, 1, 3), np.uint8), np.full((4, 1, 1, 3), 240, np.uint8)
    joined = [int(frame[0, 0, 0]) for frame in join([dark, light], 2, 6)]
    assert joined == [0, 0, 80, 160, 240, 240]


def test_one_image_is_one_clip() -> None:
    image = numbered(1)[0]
    assert np.array_equal(next(join([image[None]], 0, 1)), image)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="hold 17 frames, 18 are wanted"):
        list(join([np.zeros((17, 1, 1, 3), np.uint8)], 0, 18))


def test_overlap_as_long_as_the_clip_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot overlap"):
        list(cut(numbered(3), 17, 17))


def test_nothing_makes_no_clip() -> None:
    assert list(cut([], 17)) == []
    assert list(join([], 0, 0)) == []
    assert count_clips(0) == 0
