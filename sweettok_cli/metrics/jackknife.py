"""How far a distance between two sets depends on which samples are in them: the jackknife over groups.

A bootstrap draws samples with replacement; sets that hold a sample twice are further apart than sets that do
not, so that its distances lie beside the one that was measured. The jackknife (Efron and Stein, 1981) leaves
a group out at a time; its spread is too large rather than too small, up to twice that of sets drawn anew
(``tests/metrics/test_jackknife.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from sweettok_cli.metrics.bootstrap import CONFIDENCE, Interval

GROUPS = 20
_LEAST = 3  # samples a side: two are left where one is away

Distance = Callable[[np.ndarray, np.ndarray], float]
"""Between two sets of vectors ``[n, d]``; not negative."""


def jackknife_interval(
    distance: Distance, first: np.ndarray, second: np.ndarray, groups: int = GROUPS
) -> Interval:
    """The distance between two sets with its interval; no ends where a side has fewer than three vectors.

    The interval says nothing of the distance's bias: that of few samples is too large.

    Args:
        distance: what is measured.
        first: ``[n, d]``; the interval's ``clips`` are its vectors.
        second: ``[m, d]``.
        groups: that are left out in turn, the same share of either side; fewer where there are few vectors.
    """
    value = distance(first, second)
    least = min(len(first), len(second))
    if least < _LEAST:
        return Interval(value, None, None, len(first))
    groups = min(groups, least)
    without = [
        distance(_without(first, group, groups), _without(second, group, groups)) for group in range(groups)
    ]
    spread = math.sqrt((groups - 1) * float(np.var(without)))
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * spread
    return Interval(value, max(0.0, value - reach), value + reach, len(first))


def _without(vectors: np.ndarray, group: int, groups: int) -> np.ndarray:
    return vectors[np.arange(len(vectors)) % groups != group]
