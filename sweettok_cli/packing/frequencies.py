"""How often each symbol of one column came so far: what is expected where nothing nearby tells more."""

from __future__ import annotations

import numpy as np

#: What one symbol that came adds to its count.
GAIN = 64
#: What all counts may add up to; beyond it they are halved, and what is long past counts less.
LIMIT = 1 << 19
#: Sizes of codebooks whose indices are one symbol each; larger ones are split.
MOST_SYMBOLS = 1 << 16


class Frequencies:
    """Counts of symbols, each at least 1, and where each one's share of them begins.

    Attributes:
        begins: int64 [symbols + 1], from 0 to the sum of all counts; it increases strictly.
    """

    def __init__(self, counts: np.ndarray) -> None:
        """Begin with ``counts``, [symbols], of at least 1 each and at most :data:`LIMIT` in sum."""
        self._counts = counts.astype(np.int64)
        self.begins = np.zeros(len(counts) + 1, np.int64)
        self._sum()

    def add(self, *symbols: np.ndarray) -> None:
        """Count symbols that came, [n] each."""
        for each in symbols:
            np.add.at(self._counts, each, GAIN)
        self._sum()
        while self.begins[-1] > LIMIT:
            self._counts = (self._counts + 1) >> 1
            self._sum()

    def _sum(self) -> None:
        np.cumsum(self._counts, out=self.begins[1:])


def even(symbols: int) -> np.ndarray:
    """Counts to begin with where nothing is known, an eighth of a symbol that came: uint16 [symbols]."""
    return np.full(symbols, max(1, min(GAIN // 8, LIMIT // 2 // symbols)), np.uint16)
