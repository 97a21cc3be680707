"""Maximum mean discrepancy under the kernel of JEDi, a polynomial of degree two.

Luo et al., "Beyond FVD: Enhanced Evaluation Metrics for Video Generation Quality", 2024 (arXiv 2410.05203).
Their package (videojedi 1.1.0) calls scikit-learn's kernel with ``degree=2, coef0=0``, whose scale is one
over the width of the vectors, averages over all pairs, each vector with itself among them, and multiplies by
100.
"""

from __future__ import annotations

import numpy as np

JEDI_SCALE = 100
"""What JEDi multiplies the discrepancy by."""


def polynomial_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Squared discrepancy between vectors ``[n, d]`` and ``[m, d]`` under ``k(x, y) = (x . y / d) ** 2``.

    The square of an inner product is an inner product of outer products, so that the mean of the kernel over
    all pairs is one of second moments: no matrix of pairs is made.

    Raises:
        ValueError: a side is empty, the widths differ, or a number is not finite.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"vectors must be [n, d] of one width, not {first.shape} and {second.shape}")
    if not len(first) or not len(second):
        raise ValueError("each side needs a vector")
    difference = _second_moment(first) - _second_moment(second)
    return float(np.square(difference / first.shape[1]).sum())


def _second_moment(vectors: np.ndarray) -> np.ndarray:
    """Mean of the vectors' outer products, ``[d, d]``."""
    if not np.isfinite(vectors).all():
        raise ValueError("the vectors hold numbers that are not finite")
    values = vectors.astype(np.float64)
    return values.T @ values / len(values)
