"""How many tokens each position has: does it have a first one, and if so a second, and so on.

Each of these is a decision, and its odds are learned by what is known around it: how many of the neighbours
that were coded before have as many tokens, and whether the same cell had, in the latent frame before or, at
the first one, in the clip before. So a plane in which most cells have none costs little.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from sweettok_cli.packing.columns import CASE, Cases
from sweettok_cli.packing.planes import Coder
from sweettok_cli.packing.rans import WHOLE
from sweettok_cli.packing.scan import KINDS, NEIGHBOURS, passes

# Levels with odds of their own; those beyond share the last one's.
_OWN_LEVELS, _AROUND, _BEFORE = 3, NEIGHBOURS + 1, 2
CONTEXTS = _OWN_LEVELS * KINDS * _AROUND * _BEFORE


@dataclass(frozen=True)
class CountStart:
    """What the model of an array's counts begins with.

    Attributes:
        hits: cases in which a position had one token more, [:data:`CONTEXTS`], at least 1.
        misses: cases in which it had not, alike.
    """

    hits: np.ndarray
    misses: np.ndarray

    @classmethod
    def unknowing(cls) -> CountStart:
        """Where nothing is known: the more around a cell have a token, the more likely it has, too."""
        _, _, around, before = np.indices((_OWN_LEVELS, KINDS, _AROUND, _BEFORE))
        alike, all_of_them = (around + before).ravel(), NEIGHBOURS + _BEFORE - 1
        few = CASE // 8
        hits, misses = CASE // 2 * alike + few, CASE // 2 * (all_of_them - alike) + 3 * few
        return cls(hits.astype(np.uint16), misses.astype(np.uint16))


class Decision:
    """Yes or no, for every cell of a block: 1 or 0."""

    def __init__(self, noes: np.ndarray) -> None:
        """``noes``: what of the whole is the part of a no, [n]."""
        self._noes = noes

    def parts(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`~sweettok_cli.packing.choice.Parts.parts`."""
        yes = symbols > 0
        return np.where(yes, self._noes, 0), np.where(yes, WHOLE - self._noes, self._noes)

    def find(self, slots: np.ndarray) -> np.ndarray:
        """As :meth:`~sweettok_cli.packing.choice.Parts.find`."""
        return (slots >= self._noes).astype(np.int64)


class CountModel:
    """The model of one array's counts, while a chunk is coded.

    What it codes as symbols of column n, from 0, are the decisions about token n + 1.
    """

    def __init__(self, start: CountStart, most: int, lanes: int, forget: bool = True) -> None:
        """Know what ``start`` says.

        Args:
            start: of the odds.
            most: tokens that a position has at most.
            lanes: cells that are coded together.
            forget: what came counts less the longer ago it was.
        """
        self.cases = Cases(start.hits, start.misses, forget)
        self._most, self._lanes = most, lanes
        self.restart(planes=1)

    def restart(self, planes: int) -> None:
        """Begin with planes that have none before them, so many of a clip."""
        self._known: deque[np.ndarray] = deque(maxlen=planes)
        self._of_clip, self._place = planes, 0

    def code(
        self, coder: Coder, height: int, width: int, present: np.ndarray | None = None, level: int = 0
    ) -> np.ndarray:
        """As :meth:`~sweettok_cli.packing.planes.PlaneCoder.code`: counts, one column."""
        plane = np.zeros(height * width + 1, np.int64)  # the last one stands for what is outside
        before = np.zeros_like(plane)
        if self._place % self._of_clip:
            before = self._known[-1]
        elif self._place:
            before = self._known[0]
        for block in passes(height, width):
            here = np.arange(len(block.cells))
            for count in range(1, self._most + 1):
                cells = block.cells[here]
                around = (plane[block.neighbours[:, here]] >= count).sum(0)
                context = min(count, _OWN_LEVELS) - 1
                context = ((context * KINDS + block.kind) * _AROUND + around) * _BEFORE
                has = self._decide(coder, cells, count - 1, context + (before[cells] >= count))
                here = here[has]
                plane[cells[has]] = count
        self._known.append(plane)
        self._place += 1
        return plane[:-1, None]

    def _decide(self, coder: Coder, cells: np.ndarray, column: int, context: np.ndarray) -> np.ndarray:
        """Which cells have one token more, bool [n]."""
        hits, misses = self.cases.hits[context], self.cases.misses[context]
        noes = np.clip(WHOLE * misses // (hits + misses), 1, WHOLE - 1)
        has = np.zeros(len(cells), bool)
        for start in range(0, len(cells), self._lanes):
            part = slice(start, start + self._lanes)
            has[part] = coder.code(Decision(noes[part]), cells[part], column)
        self.cases.learn(context[has], context[~has])
        return has
