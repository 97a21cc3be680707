"""The order in which the cells of a plane are coded, and which of their neighbours are known by then.

Every other cell of every other row comes first, then those between four of them, then all others, which are
between four known ones each. Cells of one block are coded together and do not know each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: Neighbours of a cell that a block may know.
NEIGHBOURS = 4
#: How much is known of a cell's surroundings: kinds of blocks.
KINDS = 3
# Of each pass: its first row and column, the kind of its blocks, and its neighbours as steps down and right.
_BESIDE = ((0, -1), (0, 1), (-1, 0), (1, 0))
_PASSES = (
    (0, 0, 0, ((-2, 0), (0, -2), (-2, -2), (-2, 2))),
    (1, 1, 1, ((-1, -1), (-1, 1), (1, -1), (1, 1))),
    (0, 1, 2, _BESIDE),
    (1, 0, 2, _BESIDE),
)


@dataclass(frozen=True)
class Block:
    """Cells that are coded together.

    Attributes:
        kind: 0 for the first pass, 1 for the second, 2 for those after.
        cells: places in the plane, row by row, [n].
        neighbours: places of each cell's neighbours, -1 outside the plane, [4, n].
    """

    kind: int
    cells: np.ndarray
    neighbours: np.ndarray


def blocks(height: int, width: int, lanes: int, present: np.ndarray | None = None) -> tuple[Block, ...]:
    """All blocks of a plane of ``height`` x ``width`` cells, of at most ``lanes`` cells each, in order.

    They are of the cells that are ``present``, bool [cells]; by default of all. So few that one block holds
    them are one, of the first kind, and know no neighbours.
    """
    if present is None:
        return _all_blocks(height, width, lanes)
    cells = np.flatnonzero(present)
    if len(cells) <= lanes:
        return (Block(0, cells, np.full((NEIGHBOURS, len(cells)), -1)),) if len(cells) else ()
    found: list[Block] = []
    for each in passes(height, width):
        here = np.flatnonzero(present[each.cells])
        found += _cut(Block(each.kind, each.cells[here], each.neighbours[:, here]), lanes)
    return tuple(found)


@lru_cache(maxsize=8)
def _all_blocks(height: int, width: int, lanes: int) -> tuple[Block, ...]:
    return tuple(block for each in passes(height, width) for block in _cut(each, lanes))


def _cut(block: Block, lanes: int) -> Iterator[Block]:
    for start in range(0, len(block.cells), lanes):
        part = slice(start, start + lanes)
        yield Block(block.kind, block.cells[part], np.ascontiguousarray(block.neighbours[:, part]))


@lru_cache(maxsize=8)
def passes(height: int, width: int) -> tuple[Block, ...]:
    """All cells of a plane, those of one pass in one block."""
    found = []
    for top, left, kind, steps in _PASSES:
        rows, columns = np.meshgrid(
            np.arange(top, height, 2), np.arange(left, width, 2), indexing="ij"
        )  # [rows of the pass, columns of the pass]
        row, column = rows.ravel(), columns.ravel()
        beside = [_place(row + down, column + right, height, width) for down, right in steps]
        found.append(Block(kind, row * width + column, np.stack(beside)))
    return tuple(found)


def _place(row: np.ndarray, column: np.ndarray, height: int, width: int) -> np.ndarray:
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return np.where(inside, row * width + column, -1)


def plane_size(tokens: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a list of tokens that lie in raster order over ``height`` x ``width`` pixels.

    As many columns to a row as the picture is wide for its height; one row where that does not come out.
    """
    columns = math.isqrt(tokens * width // height)
    rows = tokens // columns if columns else 0
    if rows * columns == tokens and rows * width == columns * height:
        return rows, columns
    return (1, tokens) if tokens else (0, 0)
