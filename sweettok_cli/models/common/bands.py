"""A frame in bands: some rows of tiles at a time go through the network, from top to bottom.

Layers that look beyond a tile hold back the few rows that are still to be looked at, so that nothing is
computed twice, what comes out is that of the whole frame, and memory does not grow with the frame's height.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from sweettok_cli.models.common.tiles import TileGrid


@dataclass(frozen=True)
class Bands:
    """A grid of cells, and how many rows of cells each band has: whole tiles, in the order they come."""

    grid: TileGrid
    rows: tuple[int, ...]

    @classmethod
    def cut(cls, grid: TileGrid, numbers: int, most: int) -> Bands:
        """Bands of about one size, each a row of tiles or up to ``most`` numbers, ``numbers`` a cell."""
        fitting = max(1, most // (numbers * grid.width * grid.tile_height))
        count = -(-grid.rows // fitting)
        edges = [grid.rows * index // count for index in range(count + 1)]
        return cls(grid, tuple((end - start) * grid.tile_height for start, end in pairwise(edges)))

    def grids(self) -> Iterator[TileGrid]:
        """The grid of each band by itself."""
        return (replace(self.grid, height=rows) for rows in self.rows)


# A generator keeps what its variables name while it waits for the next call. These keep only what they need.


def recut(bands: Iterable[Tensor], rows: Iterable[int]) -> Iterator[Tensor]:
    """The same volumes [b, t, h, w, d], one below the other, cut into others of so many ``rows``."""
    given, held = iter(bands), list[Tensor]()
    for wanted in rows:
        while sum(part.shape[2] for part in held) < wanted:
            held.append(next(given))
        cut = list(torch.cat(held, dim=2).tensor_split([wanted], dim=2))
        held = [cut.pop().clone()]
        yield cut.pop()


def among_neighbours(bands: Iterable[Tensor], rows: int, axis: int = 2) -> Iterator[tuple[Tensor, int, int]]:
    """Each band with the nearest ``rows`` of those above and below it, and how many of either it then has.

    These are 0 at the edges of the frame. ``axis`` is that of the rows.
    """
    given = iter(bands)
    above: list[Tensor] = []
    held = next(given, None)
    while held is not None:
        following = next(given, None)
        below = [] if following is None else [following.narrow(axis, 0, rows)]
        joined = [(torch.cat([*above, held, *below], dim=axis), rows * len(above), rows * len(below))]
        above = [held.narrow(axis, held.shape[axis] - rows, rows).clone()]
        held = following
        del below, following
        yield joined.pop()
