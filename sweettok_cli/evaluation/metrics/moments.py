"""Mean and covariance of a stream of vectors, in float64."""

from __future__ import annotations

import numpy as np


class Moments:
    """Mean and scatter of all vectors seen so far; memory does not grow with their number.

    Batches are merged by the update of Chan, Golub and LeVeque (1983), which, unlike sums of squares, keeps
    its digits where the mean is large beside the spread.

    Attributes:
        count: vectors seen.
        mean: float64 ``[d]``.
        scatter: sum of outer products of the vectors' distances from their mean, float64 ``[d, d]``.
    """

    def __init__(self, size: int) -> None:
        """For vectors of ``size`` numbers."""
        self.count = 0
        self.mean = np.zeros(size)
        self.scatter = np.zeros((size, size))

    def add(self, vectors: np.ndarray) -> None:
        """Take ``[n, d]`` of any float type.

        Raises:
            ValueError: the vectors have another size, or hold a number that is not finite.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise ValueError(f"vectors must be [n, {len(self.mean)}], not {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("the vectors hold numbers that are not finite")
        if len(vectors):
            part = Moments(len(self.mean))
            part.count = len(vectors)
            values = vectors.astype(np.float64)
            part.mean = values.mean(axis=0)
            values -= part.mean
            part.scatter = values.T @ values
            self.merge(part)

    def merge(self, other: Moments) -> None:
        """Take all that ``other`` has seen."""
        count = self.count + other.count
        if not other.count:
            return
        step = other.mean - self.mean
        self.scatter += other.scatter + np.outer(step, step) * (self.count * other.count / count)
        self.mean = self.mean + step * (other.count / count)
        self.count = count

    def covariance(self, unbiased: bool = True) -> np.ndarray:
        """Float64 ``[d, d]``: the scatter divided by ``count - 1``, or by ``count`` if not ``unbiased``.

        Raises:
            ValueError: fewer than two vectors were seen.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs two vectors, not {self.count}")
        return self.scatter / (self.count - 1 if unbiased else self.count)
