"""Seam flicker has known values for errors that are made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.metrics.comparison import Comparison, SeamFlicker
from sweettok_cli.metrics.psnr import CEILING


def compare(sources: np.ndarray, reconstructions: np.ndarray, clip: int) -> Comparison:
    comparison = Comparison()
    for number, (source, reconstruction) in enumerate(zip(sources, reconstructions, strict=True)):
        comparison.add(source, reconstruction, number % clip == 0)
    return comparison


def moving_video(frames: int) -> np.ndarray:
    return np.random.default_rng(1).integers(40, 200, (frames, 12, 16, 3), dtype=np.uint8)


def test_error_that_jumps_at_borders_only_is_told_from_one_that_creeps() -> None:
    source = moving_video(9)
    offsets = np.array([0, 1, 2, 5, 6, 7, 10, 11, 12])  # one step inside clips, three at each border
    comparison = compare(source, source + offsets[:, None, None, None].astype(np.uint8), clip=3)
    assert comparison.borders == [3, 6]
    assert (comparison.flicker.borders, comparison.flicker.others) == (2, 6)
    assert comparison.flicker.ratio == pytest.approx(3.0)


def test_a_constant_error_and_a_moving_source_are_no_flicker() -> None:
    source = moving_video(6)
    flicker = compare(source, source + np.uint8(20), clip=3).flicker
    assert flicker.at_borders == flicker.inside == 0
    assert flicker.ratio is None


def test_the_worst_clip_is_the_one_with_most_error() -> None:
    source = moving_video(5)
    offsets = np.array([1, 3, 0, 2, 6], np.uint8)[:, None, None, None]
    assert compare(source, source + offsets, clip=5).worst == pytest.approx(10 * np.log10(255**2 / 10))
    assert compare(source, source + offsets, clip=3).worst == pytest.approx(10 * np.log10(255**2 / 20))
    assert compare(source, source, clip=3).worst == pytest.approx(CEILING)


def test_the_sign_of_the_error_counts() -> None:
    source = moving_video(4)
    swinging = source.astype(int) + np.array([5, 5, -5, -5])[:, None, None, None]
    flicker = compare(source, swinging.astype(np.uint8), clip=2).flicker
    assert (flicker.at_borders, flicker.inside) == (pytest.approx(10), 0)


def test_one_clip_has_no_ratio() -> None:
    source = moving_video(4)
    comparison = compare(source, source ^ 1, clip=17)
    assert comparison.borders == []
    assert comparison.flicker.ratio is None


def test_frames_are_scored_one_by_one() -> None:
    source = moving_video(3)
    reconstruction = source.copy()
    reconstruction[1] += 5
    comparison = compare(source, reconstruction, clip=17)
    assert comparison.frames == 3
    assert comparison.psnr[0] == comparison.psnr[2] == CEILING
    assert comparison.psnr[1] == pytest.approx(34.151, abs=1e-3)
    assert comparison.ssim[1] < 1 and comparison.ssim[0] == pytest.approx(1)


def test_merged_flicker_weighs_every_frame_alike() -> None:
    total = SeamFlicker()
    total.merge(SeamFlicker(at_borders=6, inside=10, borders=1, others=10))
    total.merge(SeamFlicker(at_borders=6, inside=20, borders=3, others=10))
    assert total.ratio == pytest.approx((12 / 4) / (30 / 20))
