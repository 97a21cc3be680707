"""The discrepancy by second moments against the kernel over all pairs, one by one."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.metrics.mmd import polynomial_mmd


def by_pairs(first: np.ndarray, second: np.ndarray) -> float:
    """The definition, word for word."""

    def mean(one: np.ndarray, two: np.ndarray) -> float:
        values = [(float(x @ y) / len(x)) ** 2 for x in one for y in two]
        return sum(values) / len(values)

    return mean(first, first) + mean(second, second) - 2 * mean(first, second)


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (5, 9, 3), (12, 7, 40), (30, 30, 8)])
def test_it_is_the_mean_of_the_kernel_over_all_pairs(n: int, m: int, d: int) -> None:
    generator = np.random.default_rng(n)
    first, second = generator.normal(1, 2, (n, d)), generator.normal(0, 1, (m, d))
    assert polynomial_mmd(first, second) == pytest.approx(by_pairs(first, second), rel=1e-9)


def test_the_example_of_the_published_code() -> None:
    """That of videojedi's mmd_polynomial.py, degree 2: 270.7."""
    first = np.arange(1, 10).reshape(3, 3)
    second = np.array([[7, 6, 5], [4, 3, 2], [1, 1, 8], [0, 2, 5]])
    assert polynomial_mmd(first, second) == pytest.approx(270.7, abs=0.05)


def test_laws() -> None:
    generator = np.random.default_rng(4)
    first, second = generator.normal(size=(2, 20, 6))
    axes, _ = np.linalg.qr(generator.normal(size=(6, 6)))
    base = polynomial_mmd(first, second)
    assert polynomial_mmd(first, first[::-1]) == pytest.approx(0, abs=1e-20)
    assert polynomial_mmd(second, first) == pytest.approx(base)
    assert polynomial_mmd(first @ axes, second @ axes) == pytest.approx(base)
    assert polynomial_mmd(2 * first, 2 * second) == pytest.approx(16 * base)
    assert polynomial_mmd(np.float32(first), np.float32(second)) == pytest.approx(base, rel=1e-5)


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (np.zeros((2, 4)), "one width"),
        (np.zeros(3), "one width"),
        (np.zeros((0, 3)), "needs a vector"),
        (np.full((2, 3), np.inf), "not finite"),
    ],
)
def test_what_are_no_two_sets_is_refused(first: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        polynomial_mmd(first, np.zeros((2, 3)))
