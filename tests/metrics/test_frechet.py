"""The Fréchet distance against closed forms, against scipy's matrix root, and against its own laws."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.metrics.frechet import FrechetRule, Moments, frechet_distance

RULES = [FrechetRule(root="eigh"), FrechetRule(root="svd")]


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Moments:
    """Moments as of a set with exactly this mean and unbiased covariance."""
    moments = Moments(len(mean))
    moments.count, moments.mean, moments.scatter = 101, np.asarray(mean, float), covariance * 100.0
    return moments


def random_set(count: int, size: int, seed: int) -> Moments:
    generator = np.random.default_rng(seed)
    moments = Moments(size)
    moments.add(generator.normal(0, 1, (count, size)) @ generator.normal(0, 1, (size, size)) + seed)
    return moments


@pytest.mark.parametrize("rule", RULES)
def test_diagonal_gaussians_have_the_closed_form(rule: FrechetRule) -> None:
    generator = np.random.default_rng(0)
    mean, other = generator.normal(size=(2, 12))
    spread, spread_other = generator.uniform(0.1, 4, (2, 12))
    found = frechet_distance(
        gaussian(mean, np.diag(spread**2)), gaussian(other, np.diag(spread_other**2)), rule
    )
    assert found == pytest.approx(((mean - other) ** 2 + (spread - spread_other) ** 2).sum(), rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_commuting_gaussians_have_the_closed_form(rule: FrechetRule) -> None:
    """Covariances with the same axes: the roots of the eigenvalues are compared axis by axis."""
    generator = np.random.default_rng(1)
    axes, _ = np.linalg.qr(generator.normal(size=(9, 9)))
    spread, other = generator.uniform(0.0, 3, (2, 9))
    one, two = ((axes * values**2) @ axes.T for values in (spread, other))
    found = frechet_distance(gaussian(np.zeros(9), one), gaussian(np.zeros(9), two), rule)
    assert found == pytest.approx(((spread - other) ** 2).sum(), rel=1e-8)


@pytest.mark.parametrize("rule", RULES)
def test_any_gaussians_agree_with_the_root_of_the_product(rule: FrechetRule) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    first, second = random_set(200, 8, 2), random_set(150, 8, 3)
    one, two = first.covariance(), second.covariance()
    root = linalg.sqrtm(one @ two).real
    expected = ((first.mean - second.mean) ** 2).sum() + np.trace(one + two - 2 * root)
    assert frechet_distance(first, second, rule) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_fewer_vectors_than_dimensions(rule: FrechetRule) -> None:
    """The covariances have no full rank, as with few clips and 400 features."""
    first, second = random_set(6, 20, 4), random_set(9, 20, 5)
    full = frechet_distance(first, second, rule)
    values = np.linalg.eigvals(first.covariance() @ second.covariance()).real.clip(min=0)
    traces = np.trace(first.covariance()) + np.trace(second.covariance())
    expected = ((first.mean - second.mean) ** 2).sum() + traces - 2 * np.sqrt(values).sum()
    assert full == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_laws(rule: FrechetRule) -> None:
    generator = np.random.default_rng(6)
    vectors, others = generator.normal(size=(2, 60, 5)) * np.arange(1, 6)
    others = others @ generator.normal(size=(5, 5))

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        first, second = Moments(5), Moments(5)
        first.add(a)
        second.add(b)
        return frechet_distance(first, second, rule)

    base = distance(vectors, others)
    shift = np.array([1.0, -2.0, 0.5, 3.0, 0.0])
    axes, _ = np.linalg.qr(generator.normal(size=(5, 5)))
    assert distance(vectors, vectors) == pytest.approx(0, abs=1e-9)
    assert distance(others, vectors) == pytest.approx(base, rel=1e-9)
    assert distance(vectors, vectors + shift) == pytest.approx(shift @ shift, rel=1e-9)
    assert distance(vectors + shift, others + shift) == pytest.approx(base, rel=1e-9)
    assert distance(3 * vectors, 3 * others) == pytest.approx(9 * base, rel=1e-9)
    assert distance(vectors @ axes, others @ axes) == pytest.approx(base, rel=1e-9)


def test_the_divisor_is_the_one_asked_for() -> None:
    first, second = Moments(1), Moments(1)
    first.add(np.array([[0.0], [2.0]]))  # variance 2, or 1 if divided by n
    second.add(np.array([[0.0], [0.0]]))
    assert frechet_distance(first, second, FrechetRule(unbiased=True)) == pytest.approx(1 + 2)
    assert frechet_distance(first, second, FrechetRule(unbiased=False)) == pytest.approx(1 + 1)


def test_the_published_root_leaves_tiny_singular_values_alone() -> None:
    """The SVD rule does not root below 1e-10: 4 times 1e-12 stays 4e-12 and is not 2e-6."""
    first, second = gaussian(np.zeros(2), np.diag([1.0, 1e-6])), gaussian(np.zeros(2), np.diag([1.0, 4e-6]))
    exact = frechet_distance(first, second, FrechetRule(root="eigh"))
    published = frechet_distance(first, second, FrechetRule(root="svd"))
    assert exact == pytest.approx((2e-3 - 1e-3) ** 2, rel=1e-6)
    assert published - exact == pytest.approx(2 * 2e-6, rel=1e-3)


def test_single_precision_is_near_but_not_equal() -> None:
    first, second = random_set(300, 30, 7), random_set(300, 30, 8)
    exact = frechet_distance(first, second, FrechetRule(root="svd"))
    single = frechet_distance(first, second, FrechetRule(root="svd", single=True))
    assert 1e-9 * exact < abs(single - exact) < 1e-4 * exact


def test_one_vector_is_too_few() -> None:
    with pytest.raises(ValueError, match="needs two"):
        frechet_distance(random_set(1, 3, 9), random_set(5, 3, 9))


def test_words_name_every_choice() -> None:
    words = FrechetRule(unbiased=False, root="svd", single=True).words
    assert words == "covariance divided by n, matrix root by SVD in float32"
