"""Streamed moments against numpy's of all vectors at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweettok_cli.metrics.frechet import Moments


def streamed(vectors: np.ndarray, cuts: list[int]) -> Moments:
    moments = Moments(vectors.shape[1])
    for part in np.split(vectors, sorted(cut % (len(vectors) + 1) for cut in cuts)):
        moments.add(part)
    return moments


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 40), st.integers(1, 5), st.lists(st.integers(0, 40), max_size=5), st.integers(0, 99))
def test_any_cut_of_the_stream_gives_the_same(count: int, size: int, cuts: list[int], seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(3, 2, (count, size))
    moments = streamed(vectors, cuts)
    assert moments.count == count
    np.testing.assert_allclose(moments.mean, vectors.mean(axis=0), atol=1e-12)
    for unbiased in (True, False):
        expected = np.cov(vectors.T, ddof=int(unbiased)).reshape(size, size)
        np.testing.assert_allclose(moments.covariance(unbiased), expected, atol=1e-11)


def test_a_large_mean_costs_no_digits() -> None:
    """Sums of squares would be left with none: 1e16 times the rounding of float64 exceeds the variance."""
    noise = np.random.default_rng(0).normal(0, 1, (500, 3))
    moments = streamed(noise + 1e8, [7, 100, 333])
    np.testing.assert_allclose(moments.covariance(), np.cov(noise.T), rtol=1e-6, atol=1e-6)


def test_merging_equals_adding() -> None:
    vectors = np.random.default_rng(1).normal(0, 1, (30, 4)).astype(np.float32)
    first, second, empty = streamed(vectors[:11], []), streamed(vectors[11:], [3]), Moments(4)
    first.merge(second)
    first.merge(empty)
    np.testing.assert_allclose(first.covariance(), np.cov(vectors.T.astype(np.float64)), atol=1e-12)


def test_vectors_that_do_not_fit_are_refused() -> None:
    moments = Moments(3)
    for vectors in (np.zeros(3), np.zeros((2, 4))):
        with pytest.raises(ValueError, match=r"vectors must be \[n, 3\]"):
            moments.add(vectors)
    with pytest.raises(ValueError, match="not finite"):
        moments.add(np.array([[0.0, np.nan, 1.0]]))
    moments.add(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="needs two"):
        moments.covariance()
