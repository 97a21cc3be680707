"""Rectangles of tiles, cut out of clips of tiled models: the symbols of a smaller clip."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from sweettok_cli.tokens.arrays import ARRAYS
from sweettok_cli.tokens.meta import TokenMeta


class Tiles:
    """Which symbols of a clip in the fixed layout belong to which of its tiles.

    A tile has as many positions of each array as every other, in a square, and the positions of an array
    are in the raster order of the whole frame (:class:`~sweettok_cli.tokens.layout.TiledTokens`), so that
    those of a rectangle of tiles, in their order, are what a clip of that size has.

    Args:
        meta: of the tokens.
        side: of a tile, in pixels.

    Raises:
        ValueError: they have levels, are of no tiled model, or their frames are no whole number of tiles.
    """

    def __init__(self, meta: TokenMeta, side: int) -> None:
        self.rows, self.columns = meta.padded_height // side, meta.padded_width // side
        if meta.levels:
            raise ValueError("crops are of the fixed layout alone, and these tokens have levels")
        if not all(ARRAYS[name].columns for name in meta.shapes):
            raise ValueError(f"{meta.model} has no tiles")
        if meta.padded_height % side or meta.padded_width % side:
            size = f"{meta.padded_width}x{meta.padded_height}"
            raise ValueError(f"{size} pixels are no whole number of tiles of {side} pixels")
        self._grids: list[np.ndarray] = []  # places in the clip, [rows, y, columns, x, indices of a token]
        before = 0
        for name, (positions, width) in meta.shapes.items():
            cells = math.isqrt(positions // (self.rows * self.columns))
            if cells**2 * self.rows * self.columns != positions:
                raise ValueError(f"the {positions} positions of {name} are no squares of tiles")
            places = np.arange(before, before + positions * width)
            self._grids.append(places.reshape(self.rows, cells, self.columns, cells, width))
            before += positions * width

    def rectangle(self, top: int, left: int, rows: int, columns: int) -> np.ndarray:
        """Places in a clip of the symbols of so many tiles, int64 [n], in the order of the smaller clip."""
        cut = (grid[top : top + rows, :, left : left + columns] for grid in self._grids)
        return np.concatenate([places.ravel() for places in cut])


@lru_cache(maxsize=64)
def tiles_of(meta: str, side: int) -> Tiles:
    """The tiles of what a description says; see :class:`Tiles`."""
    return Tiles(TokenMeta.from_json(meta), side)
