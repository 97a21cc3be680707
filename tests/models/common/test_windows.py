"""Which cells see which in window attention, shifted or not, found by changing one cell at a time."""

from __future__ import annotations

import pytest
import torch

from sweettok_cli.models.common.tiles import TileGrid, roll, rolled_mask
from sweettok_cli.models.common.transformer import Layer, StackConfig

DIM, WINDOW = 16, 4


def layer(kind: str) -> Layer:
    """One layer whose attention over time adds nothing."""
    made = Layer(kind, StackConfig(kind, DIM, heads=2, head_dim=8, window=WINDOW, frames=2), 0).eval()
    assert made.over_time is not None
    torch.nn.init.zeros_(made.over_time.proj.weight)
    torch.nn.init.zeros_(made.over_time.proj.bias)
    return made


def window(y: int, x: int, kind: str) -> tuple[int, int]:
    """Windows of the shifted layer begin half a window before the frame and are cut off at its edges."""
    shift = WINDOW // 2 if kind == "s" else 0
    return (y + shift) // WINDOW, (x + shift) // WINDOW


@pytest.mark.parametrize("kind", ["a", "s"])
@pytest.mark.parametrize(("height", "width", "tile"), [(8, 12, 4), (8, 8, 8), (4, 4, 4)])
def test_a_cell_sees_its_window_and_nothing_else(kind: str, height: int, width: int, tile: int) -> None:
    net, grid = layer(kind), TileGrid(height, width, tile, tile)
    x = torch.randn(2, 2, height, width, DIM)
    with torch.inference_mode():
        before = net(x, grid)
        for place in range(height * width):
            row, column = divmod(place, width)
            changed = x.clone()
            changed[1, 1, row, column] += torch.randn(DIM)
            moved = (net(changed, grid) - before).abs().amax(-1) > 1e-6
            expected = torch.zeros_like(moved)
            for y in range(height):
                for x_ in range(width):
                    expected[1, 1, y, x_] = window(y, x_, kind) == window(row, column, kind)
            assert moved.equal(expected), (row, column)


def test_rolled_cells_come_back() -> None:
    x = torch.randn(1, 2, 8, 12, 3)
    assert roll(roll(x, 2), -2).equal(x)
    assert roll(x, 2)[:, :, 0, 0].equal(x[:, :, 2, 2])


def test_mask_made_in_inference_serves_training() -> None:
    rolled_mask.cache_clear()
    net, grid = layer("s"), TileGrid(8, 8, 4, 4)
    with torch.inference_mode():
        net(torch.randn(1, 2, 8, 8, DIM), grid)
    assert not rolled_mask(grid.with_tile(WINDOW, WINDOW), WINDOW // 2, torch.device("cpu")).is_inference()
    net(torch.randn(1, 2, 8, 8, DIM), grid).sum().backward()
    assert net.attention.qkv.weight.grad is not None


def test_time_attention_joins_the_frames_of_a_cell_only() -> None:
    net = Layer("a", StackConfig("a", DIM, heads=2, head_dim=8, window=WINDOW, frames=3), 0).eval()
    torch.nn.init.zeros_(net.attention.proj.weight)
    torch.nn.init.zeros_(net.attention.proj.bias)
    x = torch.randn(1, 3, 4, 4, DIM)
    changed = x.clone()
    changed[0, 2, 1, 3] += torch.randn(DIM)
    grid = TileGrid(4, 4, 4, 4)
    moved = (net(changed, grid) - net(x, grid)).abs().amax(-1) > 1e-6
    expected = torch.zeros_like(moved)
    expected[0, :, 1, 3] = True
    assert moved.equal(expected)
