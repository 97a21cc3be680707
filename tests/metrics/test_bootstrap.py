"""Bootstrap intervals against their large-sample form, their coverage, and their laws."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from sweettok_cli.metrics.bootstrap import RESAMPLES, Interval, difference_interval, mean_interval


def test_large_samples_approach_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(5, 2, 800)
    found = mean_interval(values, resamples=4000)
    half = 1.959964 * values.std() / math.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        found = mean_interval(generator.normal(0, 1, 40), resamples=400, confidence=0.9, seed=seed)
        hits += found.low < 0 < found.high
    assert 160 <= hits <= 195


def test_the_same_clips_give_the_same_interval_and_seeds_differ() -> None:
    values = [30.0, 31.5, 28.2, 35.1, 29.9]
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values) != mean_interval(values, seed=1)


def test_pieces_do_not_change_the_draws() -> None:
    """More numbers than are drawn at once, against all of them at once."""
    values, weights = np.random.default_rng(2).normal(size=(2, 7000)) + 5
    drawn = np.random.default_rng(0).integers(7000, size=(1000, 7000))
    means = (values * weights)[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
    found = mean_interval(values, weights, resamples=1000)
    assert (found.low, found.high) == tuple(np.quantile(means, [0.025, 0.975]))


def test_weights_make_the_mean_that_of_all_frames() -> None:
    found = mean_interval([1.0, 4.0], [3, 1])
    assert found.value == pytest.approx(7 / 4)
    assert (found.low, found.high) == (1.0, 4.0)  # a quarter of the draws holds one clip twice
    assert mean_interval([1.0, 4.0, 2.0], [2, 2, 2]) == mean_interval([1.0, 4.0, 2.0])


def test_shift_and_scale_carry_over() -> None:
    values = np.random.default_rng(3).normal(size=30)
    base, moved = mean_interval(values), mean_interval(2 * values + 7)
    assert moved.low == pytest.approx(2 * base.low + 7)
    assert moved.high == pytest.approx(2 * base.high + 7)


def test_pairing_cancels_what_is_common_to_a_clip() -> None:
    generator = np.random.default_rng(4)
    clips = generator.normal(30, 6, 40)
    first, second = clips + 0.5 + generator.normal(0, 0.1, 40), clips
    paired = difference_interval(first, second)
    assert 0 < paired.low < 0.5 < paired.high
    assert paired.high - paired.low < 0.1
    lonely = mean_interval(first)
    assert lonely.high - lonely.low > 2


def test_one_clip_has_no_interval_and_none_has_no_mean() -> None:
    assert mean_interval([3.0]) == Interval(3.0, None, None, 1)
    with pytest.raises(ValueError, match="one value and one weight"):
        mean_interval([])
    with pytest.raises(ValueError, match="one value and one weight"):
        mean_interval([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="the same clips"):
        difference_interval([1.0, 2.0], [1.0])


def test_a_test_list_of_usual_length_takes_no_time() -> None:
    values = np.random.default_rng(5).normal(size=3783)
    start = time.process_time()
    mean_interval(values)
    middle = time.process_time()
    for _ in range(RESAMPLES):  # drawing alone, without the means
        np.random.default_rng(0).integers(3783, size=3783)
    assert middle - start < 20 * (time.process_time() - middle)
