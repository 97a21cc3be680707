"""Every cell comes once, and a neighbour is of the plane."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.packing.scan import blocks, plane_size


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (5, 8), (16, 16)])
@pytest.mark.parametrize("lanes", [1, 4, 32])
def test_every_cell_comes_once(size: tuple[int, int], lanes: int) -> None:
    found = blocks(*size, lanes)
    assert all(1 <= len(block.cells) <= lanes for block in found)
    cells = np.concatenate([block.cells for block in found])
    assert sorted(cells) == list(range(size[0] * size[1]))


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_cells_that_are_there_come_once(share: float) -> None:
    present = np.random.default_rng(0).random(16 * 16) < share
    found = blocks(16, 16, 8, present)
    assert all(1 <= len(block.cells) <= 8 for block in found)
    assert sorted(np.concatenate([block.cells for block in found])) == list(np.flatnonzero(present))
    assert list(blocks(16, 16, 8, present & False)) == []


def test_few_cells_are_one_block() -> None:
    present = np.isin(np.arange(64), [3, 9, 20])
    (block,) = blocks(8, 8, 4, present)
    assert block.cells.tolist() == [3, 9, 20]
    assert (block.neighbours == -1).all()


def test_empty_plane_has_no_block() -> None:
    assert blocks(0, 0, 4) == ()


def test_cells_between_others_know_them_all() -> None:
    """After the first pass, all neighbours inside the plane were coded before."""
    height, width = 6, 9
    known: set[int] = set()
    for block in blocks(height, width, 4):
        for place, cell in enumerate(block.cells):
            row, column = divmod(int(cell), width)
            near = set(block.neighbours[:, place]) - {-1}
            far = 2 if block.kind == 0 else 1
            for each in near:
                down, right = abs(each // width - row), abs(each % width - column)
                assert max(down, right) == far
            if block.kind:
                assert near <= known
                inside = 0 < row < height - 1 and 0 < column < width - 1
                assert len(near) == 4 or not inside
        known |= set(block.cells.tolist())


@pytest.mark.parametrize(
    ("tokens", "pixels", "expected"),
    [
        (256, (256, 256), (16, 16)),
        (1024, (256, 256), (32, 32)),
        (1536, (256, 384), (32, 48)),
        (32, (64, 128), (4, 8)),
        (30, (64, 128), (1, 30)),
        (0, (64, 128), (0, 0)),
    ],
)
def test_tokens_lie_as_the_picture_does(
    tokens: int, pixels: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert plane_size(tokens, *pixels) == expected
