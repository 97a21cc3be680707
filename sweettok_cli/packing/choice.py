"""What one column of a block may be, and how likely: candidates from nearby, and every symbol by its count.

Every candidate has a share of the whole, its *bonus*; what the candidates leave over is shared out among all
symbols by their counts. A symbol's part begins behind all that smaller ones have.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sweettok_cli.packing.frequencies import LIMIT
from sweettok_cli.packing.rans import WHOLE

#: What candidates leave to the counts at least, so that every symbol keeps a part.
ROOM = LIMIT
#: Odds of 1, in the whole numbers that odds are given in.
EVENS = 1 << 10


class Parts(Protocol):
    """The parts of all symbols, for every cell of a block."""

    def parts(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the parts of ``symbols`` [n] begin, and their sizes, int64 [n] each."""
        ...

    def find(self, slots: np.ndarray) -> np.ndarray:
        """The symbols in whose parts ``slots`` [n] lie, int64 [n]."""
        ...


class Even:
    """All symbols alike: what nothing is to be learned of."""

    def __init__(self, symbols: int) -> None:
        self._symbols = symbols

    def parts(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Parts.parts`."""
        begin = symbols * WHOLE // self._symbols
        return begin, (symbols + 1) * WHOLE // self._symbols - begin

    def find(self, slots: np.ndarray) -> np.ndarray:
        """As :meth:`Parts.find`."""
        return ((slots + 1) * self._symbols - 1) // WHOLE


class Choice:
    """Symbols by what is nearby and what came so far."""

    def __init__(
        self, begins: np.ndarray, candidates: np.ndarray, odds: np.ndarray, least: np.ndarray | None = None
    ) -> None:
        """Share out the whole.

        Args:
            begins: of the symbols' counts, int64 [symbols + 1]; at most :data:`ROOM` in sum.
            candidates: symbols, int64 [k, n]; anything where the odds are 0.
            odds: of each candidate against all that is none, int64 [k, n] in units of 1 / :data:`EVENS`; 0
                for one that is no candidate, or is one before already.
            least: the smallest symbol that each cell may have, [n]; candidates are none below it.
        """
        self._begins, self._candidates = begins, candidates
        self._bonus = (WHOLE - ROOM) * odds // (EVENS + odds.sum(0))
        self._room = WHOLE - self._bonus.sum(0)
        self._first = np.int64(0) if least is None else begins[least]
        self._span = begins[-1] - self._first

    def parts(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Parts.parts`."""
        begin, size = self._by_count(symbols)
        begin += (self._bonus * (self._candidates < symbols)).sum(0)
        size += (self._bonus * (self._candidates == symbols)).sum(0)
        return begin, size

    def find(self, slots: np.ndarray) -> np.ndarray:
        """As :meth:`Parts.find`."""
        candidates, bonus = self._candidates, self._bonus
        begin, size = self._by_count(candidates)
        smaller = candidates[None] < candidates[:, None]  # [k, k, n]
        begin += (smaller * bonus[None]).sum(1)
        end = begin + size + bonus
        inside = (slots >= begin) & (slots < end) & (bonus > 0)
        # Without the bonuses that lie before it, a slot points into the counts.
        rest = slots - (bonus * (end <= slots)).sum(0)
        count = ((rest + 1) * self._span - 1) // self._room
        symbols = np.searchsorted(self._begins, self._first + count, side="right") - 1
        return np.where(inside.any(0), (candidates * inside).sum(0), symbols)

    def _by_count(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        begin = (self._begins[symbols] - self._first) * self._room // self._span
        end = (self._begins[symbols + 1] - self._first) * self._room // self._span
        return begin, end - begin
