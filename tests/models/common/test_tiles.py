from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sweettok_cli.models.common.tiles import (
    TileGrid,
    TimeColumns,
    frame_differences,
    tokens_to_volume,
    volume_to_tokens,
)

small = st.integers(1, 3)


def volume(*shape: int) -> Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


@settings(max_examples=50, deadline=None)
@given(batch=small, frames=small, rows=small, columns=small, height=small, width=small)
def test_unfold_undoes_fold(
    batch: int, frames: int, rows: int, columns: int, height: int, width: int
) -> None:
    grid = TileGrid(rows * height, columns * width, height, width)
    x = volume(batch, frames, rows * height, columns * width, 2)
    sequences = grid.fold(x)
    assert sequences.shape == (batch * rows * columns * frames, height * width, 2)
    assert grid.unfold(sequences, frames).equal(x)
    time = TimeColumns(rows * height, columns * width)
    assert time.unfold(time.fold(x), frames).equal(x)


def test_a_sequence_is_one_tile_of_one_frame() -> None:
    grid = TileGrid(4, 6, 2, 3)
    x = volume(2, 3, 4, 6, 1)
    sequences = grid.fold(x)
    # batch 1, tile row 1, tile column 0, frame 2; frames lie side by side
    index = ((1 * 2 + 1) * 2 + 0) * 3 + 2
    assert sequences[index].equal(x[1, 2, 2:4, 0:3].reshape(6, 1))


def test_one_tile_is_a_view() -> None:
    x = volume(2, 3, 4, 4, 5)
    folded = TileGrid.whole(4, 4).fold(x)
    assert folded.equal(x.reshape(6, 16, 5))
    assert folded.data_ptr() == x.data_ptr()


def test_time_sequences_are_cells() -> None:
    x = volume(2, 3, 2, 2, 1)
    assert TimeColumns(2, 2).fold(x)[4 + 3].equal(x[1, :, 1, 1])


def test_spread_repeats_in_every_tile() -> None:
    grid = TileGrid(4, 6, 2, 3)
    cells = volume(6, 2)
    spread = grid.spread(cells)
    assert all(tile.equal(cells) for tile in grid.fold(spread[None, None]))


def test_query_grid_has_the_same_tiles() -> None:
    patches = TileGrid(16, 24, 8, 8)
    queries = patches.with_cells(4, 4)
    assert (queries.height, queries.width, queries.rows, queries.columns) == (8, 12, 2, 3)


def test_tokens_are_in_raster_order() -> None:
    grid = TileGrid(4, 6, 2, 3)
    tokens = volume(2, 24, 1)
    x = tokens_to_volume(tokens, grid)
    assert x[0, 0, 1, 2].item() == 1 * 6 + 2
    assert volume_to_tokens(x).equal(tokens)


def test_frame_differences() -> None:
    x = torch.randn(1, 4, 2, 2, 3)
    assert frame_differences(x).equal(x[:, 1:] - x[:, :-1])


def test_grid_must_be_whole_tiles() -> None:
    with pytest.raises(ValueError, match="whole number"):
        TileGrid(10, 8, 4, 4)
