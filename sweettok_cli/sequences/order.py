"""The order in which the tokens of a clip follow each other, as numbers of a flat vocabulary.

A clip's arrays come one after the other, in the order of token files: SweetTok's spatial tokens, then its
temporal ones, each token's indices in turn (modifier, modifier, head); or a grid's codes in raster order.
Of a model with levels, a position without a temporal token is the one symbol ``none``. Tokens of detail are
few among many cells: each is a step over the cells that have none, and then the noun; a step of 0 adds to the
cell before; ``stop`` ends them. Of 84 clips of 24 videos, by the default model, that is 1,196 symbols a clip
beside 1,149 nouns, 3.9 kbit if each is coded by how often it comes; a mark behind the tokens of every cell
would be 9,379 symbols and 4.9 kbit.

Every clip can be written in one way only, and :class:`ClipOrder` says which symbols may come next: what a
generator may sample, and what a reader accepts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from sweettok_cli.sequences.vocabulary import STEPS, Vocabulary
from sweettok_cli.tokens.ragged import counts_name, places

#: Numbers from the first up to, and without, the second.
Range = tuple[int, int]


class Place(NamedTuple):
    """Where in a clip the next symbol stands.

    ``part``: which of its arrays; ``position`` in it, and ``column`` of the token there. Of detail, ``depth``
    is how many tokens the cell has so far, and ``passed`` whether cells were just passed, so that a step must
    follow.
    """

    part: int = 0
    position: int = 0
    column: int = 0
    depth: int = 0
    passed: bool = False


class _Part(ABC):
    """One array of a clip, a token at each of its positions, or at some."""

    def __init__(self, vocabulary: Vocabulary, array: str, shape: Sequence[int]) -> None:
        self.vocabulary, self.array, self.shape = vocabulary, array, tuple(shape)
        self.lists = [vocabulary.column(array, n) for n in range(len(vocabulary.codebooks[array]))]
        self.positions = math.prod(shape) // len(self.lists)
        self.starts = np.array([each.start for each in self.lists])

    @abstractmethod
    def write(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """The symbols of one clip's arrays, int64 [n]."""

    @abstractmethod
    def next(self, place: Place) -> list[Range]:
        """What may stand at a place of this part."""

    @abstractmethod
    def after(self, place: Place, symbol: int) -> Place | None:
        """The place behind a symbol that may stand there; None: behind this part."""

    @abstractmethod
    def read(self, symbols: np.ndarray) -> dict[str, np.ndarray]:
        """Undo :meth:`write` of symbols that may stand where they do."""

    def codes(self, tokens: np.ndarray) -> np.ndarray:
        """Indices [n, columns] as symbols of the same shape."""
        return tokens.reshape(-1, len(self.lists)).astype(np.int64) + self.starts

    def indices(self, symbols: np.ndarray) -> np.ndarray:
        """Undo :meth:`codes` of symbols in any shape."""
        return symbols.reshape(-1, len(self.lists)) - self.starts

    def of(self, column: int) -> Range:
        """The numbers of a column's codes."""
        return self.lists[column].start, self.lists[column].end


class _Dense(_Part):
    """A token at every position."""

    def write(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.codes(arrays[self.array]).ravel()

    def next(self, place: Place) -> list[Range]:
        return [self.of(place.column)]

    def after(self, place: Place, symbol: int) -> Place | None:
        if place.column + 1 < len(self.lists):
            return place._replace(column=place.column + 1)
        return self.following(place)

    def following(self, place: Place) -> Place | None:
        """The place of the next position."""
        last = place.position + 1 == self.positions
        return None if last else Place(place.part, place.position + 1)

    def read(self, symbols: np.ndarray) -> dict[str, np.ndarray]:
        return {self.array: self.indices(symbols).reshape(self.shape)}


class _Optional(_Dense):
    """A token at some positions, ``none`` at the others."""

    @property
    def none(self) -> int:
        return self.vocabulary.special("none")

    def write(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        present = arrays[counts_name(self.array)].ravel() > 0
        symbols = np.full((self.positions, len(self.lists)), -1, np.int64)
        symbols[~present, 0] = self.none
        symbols[present] = self.codes(arrays[self.array])
        return symbols[symbols >= 0]

    def next(self, place: Place) -> list[Range]:
        none = [(self.none, self.none + 1)] if place.column == 0 else []
        return none + super().next(place)

    def after(self, place: Place, symbol: int) -> Place | None:
        return self.following(place) if symbol == self.none else super().after(place, symbol)

    def read(self, symbols: np.ndarray) -> dict[str, np.ndarray]:
        present = symbols != self.none
        # Of those that are codes, every so many begin a token.
        begins = ~present | (present.cumsum() % len(self.lists) == 1 % len(self.lists))
        return {
            self.array: self.indices(symbols[present]),
            counts_name(self.array): present[begins].reshape(self.shape[:-1]),
        }


class _Sparse(_Part):
    """Tokens of detail: up to ``levels`` at a position, and at most positions none."""

    def __init__(self, vocabulary: Vocabulary, array: str, shape: Sequence[int], levels: int) -> None:
        super().__init__(vocabulary, array, shape)
        assert len(self.lists) == 1
        self.levels = levels
        self.far, self.stop = vocabulary.special("far"), vocabulary.special("stop")
        self.stay = vocabulary.step(0)

    def write(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        _, level, position = places(arrays[counts_name(self.array)][None])
        order = np.lexsort((level, position))
        steps = np.diff(position[order], prepend=0)
        far = steps // STEPS
        ends = (far + 2).cumsum()  # steps over many cells, the last step, the noun
        symbols = np.full(ends[-1] + 1 if len(ends) else 1, self.far, np.int64)
        symbols[ends - 2] = self.stay + steps % STEPS
        symbols[ends - 1] = self.codes(arrays[self.array])[order, 0]
        symbols[-1] = self.stop
        return symbols

    def next(self, place: Place) -> list[Range]:
        if place.column:
            return [self.of(0)]
        left = self.positions - 1 - place.position  # cells behind this one
        least = 0 if place.depth < self.levels else 1
        found = [(self.stay + least, self.stay + 1 + min(left, STEPS - 1))]
        found += [(self.far, self.far + 1)] * (left >= STEPS)
        found += [(self.stop, self.stop + 1)] * (not place.passed)
        return [(start, end) for start, end in found if start < end]

    def after(self, place: Place, symbol: int) -> Place | None:
        if symbol == self.stop:
            return None
        if place.column:
            return place._replace(column=0, depth=place.depth + 1)
        if symbol == self.far:
            return Place(place.part, place.position + STEPS, passed=True)
        cells = symbol - self.stay
        return Place(place.part, place.position + cells, column=1, depth=0 if cells else place.depth)

    def read(self, symbols: np.ndarray) -> dict[str, np.ndarray]:
        codes = (symbols >= self.lists[0].start) & (symbols < self.lists[0].end)
        steps = np.where(symbols == self.far, STEPS, symbols - self.stay)
        position = np.where(codes | (symbols == self.stop), 0, steps).cumsum()[codes]
        counts = np.bincount(position, minlength=self.positions)
        level = np.arange(len(position)) - (counts.cumsum() - counts)[position]
        order = np.lexsort((position, level))
        return {
            self.array: self.indices(symbols[codes][order]),
            counts_name(self.array): counts.reshape(self.shape[:-1]),
        }


class ClipOrder:
    """The order of the symbols of a clip.

    Args:
        vocabulary: of the model.
        shapes: of one clip's arrays, as in token files.
        levels: tokens that a position has at most, of ragged arrays; empty where all are dense.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        shapes: Mapping[str, Sequence[int]],
        levels: Mapping[str, int],
    ) -> None:
        parts = (self._part(vocabulary, name, shape, levels) for name, shape in shapes.items())
        self._parts = [part for part in parts if part.positions]
        self._empty = {name: tuple(shape) for name, shape in shapes.items() if not math.prod(shape)}
        self._ragged = set(levels)
        if not self._parts:
            raise ValueError("a clip without tokens has no order")

    @staticmethod
    def _part(vocabulary: Vocabulary, name: str, shape: Sequence[int], levels: Mapping[str, int]) -> _Part:
        if name not in levels:
            return _Dense(vocabulary, name, shape)
        if len(vocabulary.codebooks[name]) == 1:
            return _Sparse(vocabulary, name, shape, levels[name])
        if levels[name] > 1:
            raise ValueError(
                f"positions of {name} have up to {levels[name]} tokens, of which there is no order"
            )
        return _Optional(vocabulary, name, shape)

    @property
    def begin(self) -> Place:
        """Of a clip's first symbol."""
        return Place()

    @property
    def length(self) -> int | None:
        """Symbols of a clip, where all have as many."""
        if self._ragged:
            return None
        return sum(part.positions * len(part.lists) for part in self._parts)

    def next(self, place: Place) -> list[Range]:
        """What may stand at a place."""
        return self._parts[place.part].next(place)

    def after(self, place: Place, symbol: int) -> Place | None:
        """The place behind a symbol that may stand there; None: the clip is over."""
        found = self._parts[place.part].after(place, symbol)
        if found is None and place.part + 1 < len(self._parts):
            return Place(place.part + 1)
        return found

    def write(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """The symbols of one clip, int64 [n].

        Args:
            arrays: of that clip alone, without the clip axis; of ragged ones their rows, and counts.
        """
        return np.concatenate([part.write(arrays) for part in self._parts])

    def read(self, symbols: np.ndarray) -> dict[str, np.ndarray]:
        """Undo :meth:`write`: indices and counts as int64.

        Raises ValueError where a symbol may not stand where it does, or the clip is not whole.
        """
        symbols = np.asarray(symbols, np.int64)
        arrays = {name: np.zeros(shape, np.int64) for name, shape in self._empty.items()}
        for name in self._ragged & set(arrays):
            arrays[name] = np.zeros((0, arrays[name].shape[-1]), np.int64)
            arrays[counts_name(name)] = np.zeros(self._empty[name][:-1], np.int64)
        for part, (start, end) in zip(self._parts, self._spans(symbols), strict=True):
            arrays |= part.read(symbols[start:end])
        return arrays

    def _spans(self, symbols: np.ndarray) -> list[Range]:
        """Where each part's symbols begin and end, if all of them may stand where they do."""
        if self.length is not None:
            self._check_dense(symbols)
            lengths = [part.positions * len(part.lists) for part in self._parts]
            return list(pairwise([0, *accumulate(lengths)]))
        place: Place | None = self.begin
        starts = [0]
        for number, symbol in enumerate(symbols.tolist()):
            if place is None:
                raise ValueError(f"{len(symbols) - number} symbols stand behind the end of a clip")
            if not any(start <= symbol < end for start, end in self.next(place)):
                raise ValueError(f"symbol {symbol} may not stand at place {number} of a clip")
            part, place = place.part, self.after(place, symbol)
            if place is None or place.part != part:
                starts.append(number + 1)
        if place is not None:
            raise ValueError(f"a clip ends in its middle, behind {len(symbols)} symbols")
        return list(pairwise(starts))

    def _check_dense(self, symbols: np.ndarray) -> None:
        if len(symbols) != self.length:
            raise ValueError(f"a clip has {len(symbols)} symbols, not {self.length}")
        ranges = [
            range_
            for part in self._parts
            for range_ in [*map(part.of, range(len(part.lists)))] * part.positions
        ]
        least, past = np.array(ranges).T
        wrong = np.flatnonzero((symbols < least) | (symbols >= past))
        if len(wrong):
            raise ValueError(f"symbol {symbols[wrong[0]]} may not stand at place {wrong[0]} of a clip")
