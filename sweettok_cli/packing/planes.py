"""Planes of tokens, coded one after the other, block by block and column by column.

A *plane* is what lies over one picture: the spatial or the temporal tokens of a clip, a latent frame of a
grid. What a plane's cells hold is a token of several columns; an index of a codebook too large for one table
is two columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from sweettok_cli.packing import rans
from sweettok_cli.packing.choice import Even, Parts
from sweettok_cli.packing.columns import Cases, ColumnModel, Nearby, Start
from sweettok_cli.packing.scan import Block, blocks

_STILL = 2


class Coder(Protocol):
    """Writes symbols, or reads them."""

    def code(self, parts: Parts, cells: np.ndarray, column: int) -> np.ndarray:
        """The symbols of a column of some cells, int64 [n]."""
        ...


class Known:
    """Gives symbols that are known, and codes nothing: for whoever learns from them."""

    def __init__(self) -> None:
        self.plane = np.empty((0, 0), np.int64)  # the symbols, [cells, columns]

    def code(self, parts: Parts, cells: np.ndarray, column: int) -> np.ndarray:
        """As :meth:`Coder.code`."""
        return self.plane[cells, column]


class Writer(Known):
    """Codes symbols that are known."""

    def __init__(self, lanes: int) -> None:
        super().__init__()
        self._lanes = lanes
        self._begins: list[np.ndarray] = []
        self._sizes: list[np.ndarray] = []

    def code(self, parts: Parts, cells: np.ndarray, column: int) -> np.ndarray:
        """As :meth:`Coder.code`."""
        symbols = super().code(parts, cells, column)
        begin, size = parts.parts(symbols)
        self._begins.append(begin)
        self._sizes.append(size)
        return symbols

    def coded(self) -> bytes:
        """All that was written."""
        return rans.encode(self._begins, self._sizes, self._lanes)


class Reader:
    """Finds symbols that were coded."""

    def __init__(self, coded: bytes, lanes: int) -> None:
        self._decoder = rans.Decoder(coded, lanes)

    def code(self, parts: Parts, cells: np.ndarray, column: int) -> np.ndarray:
        """As :meth:`Coder.code`; raises :class:`~sweettok_cli.packing.rans.CodeFault`."""
        slots = self._decoder.slots(len(cells))
        symbols = parts.find(slots)
        self._decoder.take(slots, *parts.parts(symbols))
        return symbols

    def finish(self) -> None:
        """Raise :class:`~sweettok_cli.packing.rans.CodeFault` unless all was read."""
        self._decoder.finish()


class PlaneCoder(Protocol):
    """Codes the planes of one array in turn."""

    def code(
        self, coder: Coder, height: int, width: int, present: np.ndarray | None = None, level: int = 0
    ) -> np.ndarray:
        """Code the next plane.

        Args:
            coder: what writes or reads.
            height: rows of the plane.
            width: cells of a row.
            present: the cells that have a token, bool [height * width]; by default all.
            level: of the tokens; what lay at the same place before is told apart by it.

        Returns:
            Symbols, int64 [height * width, columns]; anything where no token is.
        """
        ...


class EvenCoder:
    """Codes planes of which nothing is known or learned: each index in its true bits."""

    def __init__(self, symbols: Sequence[int], lanes: int) -> None:
        """Take the number of symbols of each column, and how many cells are coded together."""
        self._columns, self._lanes = [Even(each) for each in symbols], lanes

    def code(
        self, coder: Coder, height: int, width: int, present: np.ndarray | None = None, level: int = 0
    ) -> np.ndarray:
        """As :meth:`PlaneCoder.code`."""
        plane = np.zeros((height * width, len(self._columns)), np.int64)
        there = np.arange(len(plane)) if present is None else np.flatnonzero(present)
        for start in range(0, len(there), self._lanes):
            cells = there[start : start + self._lanes]
            for k, column in enumerate(self._columns):
                plane[cells, k] = coder.code(column, cells, k)
        return plane


class ArrayModel:
    """The model of one array's planes, while a chunk is coded."""

    def __init__(
        self, starts: Sequence[Start], shared: Sequence[bool], lanes: int, forget: bool = True
    ) -> None:
        """Know what ``starts`` say.

        Args:
            starts: one a column.
            shared: of each column, whether its symbols are those of the column before, too.
            lanes: cells that are coded together.
            forget: what candidates were worth counts less the longer ago it was.
        """
        self._columns = [ColumnModel(start, forget) for start in starts]
        self._shared, self._lanes = shared, lanes
        self.restart(rising=False)

    def restart(self, rising: bool) -> None:
        """Begin with planes that have none before them.

        ``rising``: no symbol of a token is smaller than the one before it of the same codebook.
        """
        self._rising = rising
        self._before: dict[int, np.ndarray] = {}  # the last token of each cell, by level

    def cases(self) -> list[Cases]:
        """Hits and misses of each column so far."""
        return [column.cases for column in self._columns]

    def code(
        self, coder: Coder, height: int, width: int, present: np.ndarray | None = None, level: int = 0
    ) -> np.ndarray:
        """As :meth:`PlaneCoder.code`."""
        cells = height * width
        # The last row stands for what is not known.
        plane = np.full((cells + 1, len(self._columns)), -1, np.int64)
        still = np.zeros(cells + 1, np.int64)
        before = self._before.get(level)
        for block in blocks(height, width, self._lanes, present):
            self._block(coder, block, plane, before, still)
        if before is not None and present is not None:
            plane[:cells] = np.where(present[:, None], plane[:cells], before[:cells])
        self._before[level] = plane
        return plane[:cells]

    def _block(
        self, coder: Coder, block: Block, plane: np.ndarray, before: np.ndarray | None, still: np.ndarray
    ) -> None:
        cells, tokens = block.cells, plane[block.neighbours]  # [4, n, columns]
        if before is not None:
            tokens = np.concatenate([before[cells][None], tokens])
        around = np.minimum(still[block.neighbours].sum(0), _STILL)
        nearby = Nearby(block.kind, tokens, before is not None, around, np.zeros(tokens.shape[:2], np.int64))
        symbols = plane[:0, 0]
        for k, column in enumerate(self._columns):
            related = [symbols] if self._shared[k] else []
            candidates = tokens[..., k]
            expected = column.expect(nearby, candidates, symbols if related and self._rising else None)
            symbols = coder.code(expected.choice, cells, k)
            column.learn(expected, symbols, *related)
            np.add(nearby.agreed, candidates == symbols, out=nearby.agreed)
            plane[cells, k] = symbols
        if before is not None:
            still[cells] = (plane[cells] == before[cells]).all(1)
