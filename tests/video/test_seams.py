from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.video.clips import REACH, ClipJoiner, soften_seam


def still(value: float, frames: int = 17, noise: int = 0) -> np.ndarray:
    random = np.random.default_rng(noise)
    frame = np.full((24, 32, 3), value) + (random.normal(0, 6, (24, 32, 3)) if noise else 0)
    return np.repeat(np.rint(frame).astype(np.uint8)[None], frames, axis=0)


def changed(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Copies of both clips, softened."""
    copies = before.copy(), after.copy()
    soften_seam(*copies, reach=REACH)
    return copies


def softened(clips: list[np.ndarray]) -> list[np.ndarray]:
    joiner = ClipJoiner(soften=True)
    return [frame for clip in clips for frame in joiner.push(clip)] + joiner.finish()


def test_error_patterns_of_a_still_picture_meet_half_way() -> None:
    before, after = still(120, noise=1), still(120, noise=2)
    soft_before, soft_after = changed(before, after)
    jump = np.abs(after[0].astype(int) - before[-1]).mean()
    assert np.abs(soft_after[0].astype(int) - soft_before[-1]).mean() < 0.2 * jump
    # Two independent errors averaged: nearer to the picture on both sides.
    for soft, hard in ((soft_before[-1], before[-1]), (soft_after[0], after[0])):
        assert np.square(soft - 120.0).mean() < 0.7 * np.square(hard - 120.0).mean()


def test_only_frames_within_reach_change_and_ever_less() -> None:
    before, after = still(100), still(108)
    soft_before, soft_after = changed(before, after)
    np.testing.assert_array_equal(soft_before[:-REACH], before[:-REACH])
    np.testing.assert_array_equal(soft_after[REACH:], after[REACH:])
    assert (np.diff(soft_before[-REACH:, 0, 0, 0].astype(int)) >= 0).all()
    assert soft_before[-1, 0, 0, 0] > 102
    assert soft_after[0, 0, 0, 0] < 106


def test_a_cut_stays_a_cut() -> None:
    before, after = still(30), still(200)
    soft_before, soft_after = changed(before, after)
    np.testing.assert_array_equal(soft_before, before)
    np.testing.assert_array_equal(soft_after, after)


def test_steady_change_is_no_jump() -> None:
    ramp = np.repeat((np.arange(34) * 3 + 20).astype(np.uint8), 24 * 32 * 3).reshape(34, 24, 32, 3)
    soft_before, soft_after = changed(ramp[:17], ramp[17:])
    np.testing.assert_array_equal(np.concatenate([soft_before, soft_after]), ramp)


@pytest.mark.parametrize("clips", [0, 1, 2, 4])
def test_as_many_frames_come_out(clips: int) -> None:
    assert len(softened([still(100 + 5 * i) for i in range(clips)])) == 17 * clips


@pytest.mark.parametrize("frames", [2, 3, 4, 12, 17])
@pytest.mark.parametrize("rows", [3, 5, 128])
def test_bands_of_rows_show_no_seams_of_their_own(
    frames: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(frames)
    clips = [still(100 + 5 * i, frames, noise=i + 1) for i in range(4)]
    clips = [(clip + random.integers(0, 9, clip.shape)).astype(np.uint8) for clip in clips]
    whole = softened([clip.copy() for clip in clips])
    assert not np.array_equal(whole, np.concatenate(clips))
    monkeypatch.setattr("sweettok_cli.video.clips._ROWS", rows)
    np.testing.assert_array_equal(softened([clip.copy() for clip in clips]), whole)


def test_single_frames_stay() -> None:
    given = [still(100, frames=1), still(110, frames=1)]
    np.testing.assert_array_equal(np.concatenate(given), softened(given))
