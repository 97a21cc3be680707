"""What may stand at every place of a sequence: codes of one list, special symbols and steps, or both.

A network that knows it learns and computes no more: at a place for nouns, the rows of nouns. That equals a
network over all symbols with a mask over those that may not stand there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sweettok_cli.sequences.order import ClipOrder, Place, Range
from sweettok_cli.sequences.vocabulary import SPECIALS, STEPS, Vocabulary

#: Numbers of symbols that are no codes: what is special, and steps.
FEW = len(SPECIALS) + STEPS
NO_LIST = -1


@dataclass(frozen=True)
class Choices:
    """What may stand at ``n`` places.

    Attributes:
        lists: int8 [n], the list of codes by its place in the vocabulary; :data:`NO_LIST` where none may.
        few: bool [n, FEW], which of the other symbols may.
    """

    lists: np.ndarray
    few: np.ndarray

    def __len__(self) -> int:
        return len(self.lists)

    @classmethod
    def of(cls, ways: Sequence[Sequence[Range]], vocabulary: Vocabulary) -> Choices:
        """From the ranges of numbers that may stand at each place."""
        starts = {each.start: number for number, each in enumerate(vocabulary.lists.values())}
        lists, few = np.full(len(ways), NO_LIST, np.int8), np.zeros((len(ways), FEW), bool)
        for place, ranges in enumerate(ways):
            for start, end in ranges:
                if end <= FEW:
                    few[place, start:end] = True
                else:
                    lists[place] = starts[start]
        return cls(lists, few)

    @classmethod
    def joined(cls, parts: Sequence[Choices]) -> Choices:
        """Several, one after the other."""
        lists = np.concatenate([part.lists for part in parts])
        return cls(lists, np.concatenate([part.few for part in parts]))


class ClipChoices:
    """What may stand at each place of a clip.

    Args:
        order: of its symbols.
        vocabulary: of the model.
    """

    def __init__(self, order: ClipOrder, vocabulary: Vocabulary) -> None:
        self._order, self._vocabulary = order, vocabulary

    def of(self, symbols: np.ndarray) -> Choices:
        """At the places of one clip's symbols, int64 [n], which may stand where they do."""
        if self._order.length is not None:
            return self._alike
        return Choices.of(self._ways(symbols), self._vocabulary)

    @cached_property
    def _alike(self) -> Choices:
        """Of clips that are all alike: where none of the lists is left to choose, no symbol matters."""
        ways: list[list[Range]] = []
        place: Place | None = self._order.begin
        while place is not None:
            ways.append(self._order.next(place))
            place = self._order.after(place, ways[-1][0][0])
        return Choices.of(ways, self._vocabulary)

    def _ways(self, symbols: np.ndarray) -> list[list[Range]]:
        ways: list[list[Range]] = []
        place: Place | None = self._order.begin
        for symbol in symbols.tolist():
            assert place is not None
            ways.append(self._order.next(place))
            place = self._order.after(place, symbol)
        return ways
