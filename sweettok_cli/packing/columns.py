"""What is learned of one column of an array as its symbols come: their counts, and what candidates are worth.

A *candidate* is the symbol of a token nearby: at the same place of the plane before, or of a neighbour. The
odds that it comes again are counted apart for every *context*: how much is known around it, how many others
say the same, whether their tokens agree so far, and whether things stand still there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweettok_cli.packing.choice import EVENS, Choice
from sweettok_cli.packing.frequencies import Frequencies, even
from sweettok_cli.packing.scan import KINDS, NEIGHBOURS

_BEFORE, _VOTES, _AGREED, _STILL = 2, NEIGHBOURS + 1, 3, 3
CONTEXTS = KINDS * _BEFORE * _VOTES * _AGREED * _STILL
#: What one case adds to a context's cases, and what they may add up to before they are halved.
CASE = 16
MOST_CASES = 255 * CASE
_MOST_ODDS = 1 << 20


@dataclass(frozen=True)
class Start:
    """What a column's model begins with.

    Attributes:
        counts: of the symbols, [symbols]; see :class:`~sweettok_cli.packing.frequencies.Frequencies`.
        hits: cases in which a candidate was right, [:data:`CONTEXTS`], at least 1.
        misses: cases in which no candidate was, alike.
    """

    counts: np.ndarray
    hits: np.ndarray
    misses: np.ndarray

    @classmethod
    def unknowing(cls, symbols: int) -> Start:
        """Where nothing is known: all symbols alike, and every candidate likely to be wrong."""
        cases = np.full(CONTEXTS, CASE, np.uint16)
        return cls(even(symbols), cases // 8, cases // 3)


@dataclass(frozen=True)
class Nearby:
    """The tokens nearby that a block's cells may repeat, and what is known of them.

    Attributes:
        kind: of the block.
        tokens: int64 [k, n, columns]; -1 where none is known.
        before: whether the first of them are of the plane before.
        still: how much has not changed since the plane before around each cell, 0 to 2, [n].
        agreed: columns of the cell's own token that each of them agrees in so far, [k, n].
    """

    kind: int
    tokens: np.ndarray
    before: bool
    still: np.ndarray
    agreed: np.ndarray


class Cases:
    """How often what was expected came, in each context, and how often it did not.

    Attributes:
        hits: int64 [contexts], at least 1, in units of 1 / :data:`CASE`.
        misses: alike.
    """

    def __init__(self, hits: np.ndarray, misses: np.ndarray, forget: bool = True) -> None:
        """Begin with these; unless it shall ``forget``, all cases weigh the same for ever."""
        self.hits, self.misses = hits.astype(np.int64), misses.astype(np.int64)
        self._most = MOST_CASES if forget else np.iinfo(np.int64).max

    def learn(self, right: np.ndarray, wrong: np.ndarray) -> None:
        """Count the contexts of cases, [n] each."""
        self.hits += CASE * np.bincount(right, minlength=len(self.hits))
        self.misses += CASE * np.bincount(wrong, minlength=len(self.hits))
        many = np.flatnonzero(self.hits + self.misses > self._most)
        if len(many):
            self.hits[many] = (self.hits[many] + 1) >> 1
            self.misses[many] = (self.misses[many] + 1) >> 1


class ColumnModel:
    """One column, while a chunk is coded."""

    def __init__(self, start: Start, forget: bool = True) -> None:
        """Begin with ``start``; unless it shall ``forget``, all cases weigh the same for ever."""
        self.frequencies = Frequencies(start.counts)
        self.cases = Cases(start.hits, start.misses, forget)

    def expect(self, nearby: Nearby, candidates: np.ndarray, least: np.ndarray | None) -> Expected:
        """What the column may be: ``candidates`` are it of the tokens nearby, see :class:`Choice`."""
        here = candidates >= (0 if least is None else least)
        same = (candidates[:, None] == candidates[None]) & here[None]  # [k, k, n]
        said_before = (same & _EARLIER[: len(same), : len(same), None]).any(1)
        first = here & ~said_before
        others = int(nearby.before)
        context = np.full(candidates.shape, nearby.kind)
        context = context * _BEFORE + (same[:, 0] if nearby.before else 0)
        context = context * _VOTES + same[:, others:].sum(1)
        context = context * _AGREED + np.minimum((same * nearby.agreed[None]).max(1), _AGREED - 1)
        context = context * _STILL + nearby.still
        odds = np.minimum(self.cases.hits[context] * EVENS // self.cases.misses[context], _MOST_ODDS) * first
        return Expected(candidates, first, context, Choice(self.frequencies.begins, candidates, odds, least))

    def learn(self, expected: Expected, symbols: np.ndarray, *related: np.ndarray) -> None:
        """Count what came, and ``related`` symbols that are of the same codebook."""
        right = expected.first & (expected.candidates == symbols)
        wrong = expected.first & ~right.any(0)
        self.cases.learn(expected.context[right], expected.context[wrong])
        self.frequencies.add(symbols, *related)


@dataclass(frozen=True)
class Expected:
    """What :meth:`ColumnModel.expect` found of candidates [k, n]: the first of each kind, their contexts."""

    candidates: np.ndarray
    first: np.ndarray
    context: np.ndarray
    choice: Choice


# Whether the second of two candidates stands before the first.
_EARLIER = np.tri(NEIGHBOURS + 1, k=-1, dtype=bool)
