"""How a feature volume [b, t, h, w, d] is cut into the token sequences that attention sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from einops import rearrange, repeat
from torch import Tensor


@dataclass(frozen=True)
class TileGrid:
    """A grid of ``height x width`` cells cut into tiles; attention over space stays inside a tile.

    Cells are patches for feature volumes and queries for the spatial latents: both grids have as many tiles,
    with other numbers of cells in each. One tile as large as the grid means attention over the whole frame
    (the published network); folding is then a plain reshape without a copy.
    """

    height: int
    width: int
    tile_height: int
    tile_width: int

    def __post_init__(self) -> None:
        if self.height % self.tile_height or self.width % self.tile_width:
            tiles = f"{self.tile_height}x{self.tile_width} tiles"
            raise ValueError(f"a grid of {self.height}x{self.width} cells is not a whole number of {tiles}")

    @classmethod
    def whole(cls, height: int, width: int) -> TileGrid:
        """The grid whose only tile is the frame itself."""
        return cls(height, width, height, width)

    @property
    def rows(self) -> int:
        """Tiles from top to bottom."""
        return self.height // self.tile_height

    @property
    def columns(self) -> int:
        """Tiles from left to right."""
        return self.width // self.tile_width

    def with_tile(self, height: int, width: int) -> TileGrid:
        """The same cells in tiles of another size, e.g. the windows of window attention."""
        return replace(self, tile_height=height, tile_width=width)

    def with_cells(self, height: int, width: int) -> TileGrid:
        """The same tiles with other cells in each, e.g. the query grid that belongs to a patch grid."""
        return TileGrid(self.rows * height, self.columns * width, height, width)

    def fold(self, volume: Tensor) -> Tensor:
        """[b, t, h, w, d] -> [(b rows columns t), cells of a tile, d].

        Time is the fastest part of the batch, so that the frames that share one context lie side by side.
        """
        layout = "b t (rows y) (columns x) d -> (b rows columns t) (y x) d"
        return rearrange(volume, layout, y=self.tile_height, x=self.tile_width)

    def unfold(self, sequences: Tensor, frames: int) -> Tensor:
        """Undo :meth:`fold`: [(b rows columns t), cells of a tile, d] -> [b, t, h, w, d]."""
        layout = "(b rows columns t) (y x) d -> b t (rows y) (columns x) d"
        return rearrange(sequences, layout, t=frames, **self._sizes)

    def spread(self, cells: Tensor) -> Tensor:
        """Repeat what belongs to one tile in all tiles: [cells of a tile, d] -> [h, w, d]."""
        return repeat(cells, "(y x) d -> (rows y) (columns x) d", **self._sizes)

    @property
    def _sizes(self) -> dict[str, int]:
        return {"rows": self.rows, "columns": self.columns, "y": self.tile_height, "x": self.tile_width}


def roll(volume: Tensor, cells: int) -> Tensor:
    """Move a volume [b, t, h, w, d] up and left by ``cells``, around the edges."""
    return torch.roll(volume, (-cells, -cells), dims=(2, 3))


@lru_cache(maxsize=64)
def rolled_mask(grid: TileGrid, cells: int, device: torch.device, sideways: bool = False) -> Tensor:
    """What may attend to what in a frame rolled by ``cells``: 0 or -inf, [rows*columns, cells, cells].

    Rolling joins opposite edges of the frame in its last tiles; they are kept apart (Swin, section 3.2).
    ``sideways``: left and right edges only.
    """

    def side(length: int, tile: int) -> Tensor:
        place = torch.arange(length, device=device)
        return (place >= length - tile).int() + (place >= length - cells).int()

    # A mask made during inference must still be usable by a later training step.
    with torch.inference_mode(False):
        down = 0 if sideways else 3 * side(grid.height, grid.tile_height)[:, None]
        region = (down + side(grid.width, grid.tile_width)).expand(grid.height, -1)
        regions = grid.fold(region[None, None, :, :, None])[..., 0]  # [tiles, cells of a tile]
        apart = regions[:, :, None] != regions[:, None, :]
        return torch.zeros(apart.shape, device=device).masked_fill(apart, float("-inf"))


@dataclass(frozen=True)
class TimeColumns:
    """Attention over time: each cell of an ``height x width`` grid is one sequence."""

    height: int
    width: int

    def fold(self, volume: Tensor) -> Tensor:
        """[b, t, h, w, d] -> [(b h w), t, d]."""
        return rearrange(volume, "b t h w d -> (b h w) t d")

    def unfold(self, sequences: Tensor, frames: int) -> Tensor:
        """Undo :meth:`fold`: [(b h w), t, d] -> [b, t, h, w, d]."""
        return rearrange(sequences, "(b h w) t d -> b t h w d", t=frames, h=self.height, w=self.width)


Layout = TileGrid | TimeColumns


def tokens_to_volume(tokens: Tensor, grid: TileGrid) -> Tensor:
    """One token a cell in raster order, [b, h*w, d], as a volume of a single step [b, 1, h, w, d]."""
    return rearrange(tokens, "b (h w) d -> b 1 h w d", h=grid.height, w=grid.width)


def volume_to_tokens(volume: Tensor) -> Tensor:
    """A volume of a single step, [b, 1, h, w, d], as tokens in raster order [b, h*w, d]."""
    return rearrange(volume, "b 1 h w d -> b (h w) d")


def frame_differences(volume: Tensor) -> Tensor:
    """What changed since the frame before: [b, t, h, w, d] -> [b, t-1, h, w, d]."""
    return torch.diff(volume, dim=1)
