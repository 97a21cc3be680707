"""The interval of a distance against the spread of sets that are drawn anew."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.metrics.frechet import Moments, frechet_distance
from sweettok_cli.metrics.jackknife import Distance, jackknife_interval
from sweettok_cli.metrics.mmd import polynomial_mmd


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    sides = []
    for vectors in (first, second):
        moments = Moments(vectors.shape[1])
        moments.add(vectors)
        sides.append(moments)
    return frechet_distance(*sides)


def test_of_a_mean_it_is_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(9, 2, (40, 1))
    found = jackknife_interval(lambda first, _: float(first.mean()), values, values, groups=40)
    error = values.std(ddof=1) / np.sqrt(40)
    assert found.value == pytest.approx(values.mean()) and found.clips == 40
    assert found.low is not None and found.high is not None
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * error)


@pytest.mark.parametrize("distance", [frechet, polynomial_mmd])
@pytest.mark.parametrize("count", [30, 150])
def test_it_is_no_narrower_than_what_is_drawn_anew_spreads(distance: Distance, count: int) -> None:
    """And less than twice as wide: on average over 40 draws of Gaussians of width 10."""
    generator = np.random.default_rng(1)
    mixing, other = generator.normal(size=(2, 10, 10))
    values, reaches = [], []
    for _ in range(40):
        first = generator.normal(size=(count, 10)) @ mixing
        second = generator.normal(size=(count, 10)) @ (mixing + 0.5 * other) + 1
        found = jackknife_interval(distance, first, second)
        assert found.high is not None
        values.append(found.value)
        reaches.append(found.high - found.value)
    spread = np.std(values, ddof=1)
    error = np.sqrt(np.mean(np.square(reaches))) / 1.96
    assert 0.9 * spread < error < 2 * spread


def test_no_distance_is_below_nothing() -> None:
    vectors = np.random.default_rng(2).normal(size=(12, 3))
    found = jackknife_interval(frechet, vectors, vectors + 0.01)
    assert found.low is not None and 0 <= found.low <= found.value


def test_two_samples_have_no_interval() -> None:
    vectors = np.arange(6.0).reshape(3, 2)
    assert jackknife_interval(frechet, vectors[:2], vectors).low is None
    assert jackknife_interval(frechet, vectors, vectors).low == 0
