"""How far a mean over clips can be trusted: percentile bootstrap (Efron 1979) over whole clips.

Clips are drawn, not frames: frames of one clip resemble each other, and counting them as independent would
make every interval several times too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95

_CHUNK = 1 << 22  # numbers drawn at once: 32 MB of indices


@dataclass(frozen=True)
class Interval:
    """A mean over clips and where it would lie, had others been taken; no ends for fewer than two clips."""

    value: float
    low: float | None
    high: float | None
    clips: int


def mean_interval(
    values: Sequence[float] | np.ndarray,
    weights: Sequence[float] | np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Mean of the clips' values with its interval. The same clips in the same order give the same interval.

    Args:
        values: one number per clip.
        weights: how much each clip counts, e.g. its frames, so that the mean is that of all frames; a ratio
            of sums is the mean of the clips' ratios weighted by their denominators.
        resamples: how often the clips are drawn anew, with replacement.
        confidence: share of the drawn means that lie inside the interval.
        seed: of the draws.

    Raises:
        ValueError: there is no clip, or there are not as many weights as values.
    """
    numbers = np.asarray(values, np.float64)
    shares = np.ones(len(numbers)) if weights is None else np.asarray(weights, np.float64)
    if not numbers.size or numbers.ndim != 1 or numbers.shape != shares.shape:
        raise ValueError(f"one value and one weight per clip, not {numbers.shape} and {shares.shape}")
    products = numbers * shares
    value = float(products.sum() / shares.sum())
    count = len(numbers)
    if count < 2:
        return Interval(value, None, None, count)

    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, _CHUNK // count)
    for start in range(0, resamples, step):
        drawn = generator.integers(count, size=(min(step, resamples - start), count))  # [r, n]
        sums = products[drawn].sum(axis=1)
        means[start : start + step] = sums / (
            drawn.shape[1] if weights is None else shares[drawn].sum(axis=1)
        )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), count)


def difference_interval(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    weights: Sequence[float] | np.ndarray | None = None,
) -> Interval:
    """Mean of ``first - second`` on the same clips, paired: what both owe to the clip cancels out.

    Zero outside the interval means that the difference is unlikely to be the clips' doing. Arguments as for
    :func:`mean_interval`.

    Raises:
        ValueError: the two have different numbers of clips, or none.
    """
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != two.shape:
        raise ValueError(f"both must have the same clips, not {one.shape} and {two.shape}")
    return mean_interval(one - two, weights)
