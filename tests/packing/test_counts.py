"""How many tokens each position has comes back, and costs little where it follows what is around it."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.packing.counts import CountModel, CountStart
from sweettok_cli.packing.planes import Reader, Writer
from sweettok_cli.tokens.layout import count_bits

MOST, PLANES, LANES = 5, 3, 8
HEIGHT, WIDTH = 10, 13


def model() -> CountModel:
    made = CountModel(CountStart.unknowing(), MOST, LANES)
    made.restart(PLANES)
    return made


def coded(planes: np.ndarray) -> bytes:
    """Planes [n, height, width] of a file."""
    writer, made = Writer(LANES), model()
    for plane in planes:
        writer.plane = (plane.reshape(-1, 1) > np.arange(MOST)).astype(np.int64)
        found = made.code(writer, *plane.shape)
        np.testing.assert_array_equal(found[:, 0], plane.ravel())
    return writer.coded()


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (1, 7), (1, 1), (0, 0)])
def test_counts_come_back(size: tuple[int, int]) -> None:
    planes = np.random.default_rng(0).integers(0, MOST + 1, (7, *size))
    reader, made = Reader(coded(planes), LANES), model()
    for plane in planes:
        np.testing.assert_array_equal(made.code(reader, *size)[:, 0], plane.ravel())
    reader.finish()


def true_bits(planes: np.ndarray) -> float:
    rows = [int((planes >= level).sum()) for level in range(1, MOST + 1)]
    return count_bits("detail", planes.size, rows)


def few(planes: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.minimum(random.geometric(0.9, (planes, HEIGHT, WIDTH)) - 1, MOST)


def test_scattered_counts_cost_about_their_true_bits() -> None:
    planes = few(60)
    assert 8 * len(coded(planes)) < 1.03 * true_bits(planes) + 40 * LANES


def test_counts_like_those_around_them_cost_less() -> None:
    planes = np.zeros((60, HEIGHT, WIDTH), int)
    for number, (top, left) in enumerate(np.random.default_rng(0).integers(0, 7, (60, 2))):
        planes[number, top : top + 3, left : left + 4] = 2
    assert 8 * len(coded(planes)) < 0.6 * true_bits(planes)


def test_counts_of_the_plane_before_cost_less() -> None:
    """Within a clip; in the first plane of the next one, as in that of the clip before."""
    still = np.repeat(few(1), 60, axis=0)
    assert len(coded(still)) < 0.5 * len(coded(few(60)))
    (one,) = few(1, seed=1)
    shifts = np.random.default_rng(0).integers(0, one.size, 20)
    clips = np.stack([np.roll(one, shift) for shift in shifts])  # as many tokens as in every other
    moving = np.stack([clips, clips, np.zeros_like(clips)], axis=1).reshape(60, HEIGHT, WIDTH)
    standing = np.tile(moving[:PLANES], (20, 1, 1))
    assert len(coded(standing)) < 0.75 * len(coded(moving))
