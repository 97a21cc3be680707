from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import comb, log2
from typing import Any

import pytest

from sweettok_cli.tokens import token_cost
from sweettok_cli.tokens.layout import count_bits

PUBLISHED = {
    "shapes": {"spatial": (256, 3), "temporal": (1024, 3)},
    "width": 256,
    "height": 256,
    "padded_width": 256,
    "padded_height": 256,
    "frames": 17,
    "rate": Fraction(17),
}


def test_the_published_network_costs_what_its_indices_cost(make_tokens: Any) -> None:
    cost = token_cost(make_tokens(**PUBLISHED).meta)
    assert (cost.tokens, cost.indices) == (1280, 3840)
    # The pair of modifiers counted in order: 45,234 bits.
    assert cost.bits == pytest.approx(45_234, abs=1)
    assert cost.bits_per_clip == cost.bits
    assert cost.bits_per_pixel == pytest.approx(cost.bits / (17 * 256 * 256))
    assert cost.kbit_per_second == pytest.approx(45.234, abs=1e-3)


def test_every_clip_counts_and_padding_earns_nothing(make_tokens: Any) -> None:
    meta = make_tokens().meta
    cost = token_cost(meta)
    clip = 32 * (2 * log2(5078) + log2(5403)) + 128 * (2 * log2(1872) + log2(9267))
    assert cost.tokens == 3 * 160
    assert cost.bits == pytest.approx(3 * clip)
    assert cost.bits_per_pixel == pytest.approx(3 * clip / (120 * 50 * 40))


def test_an_image_has_no_rate(make_tokens: Any) -> None:
    cost = token_cost(make_tokens(image=True, frames=1, shapes={"spatial": (32, 3), "temporal": (0, 3)}).meta)
    assert cost.tokens == 32
    assert cost.kbit_per_second is None


def test_levels_cost_their_rows_and_how_many_there_are(make_tokens: Any) -> None:
    meta = make_tokens(levels={"temporal": 1, "detail": 4}).meta
    cost = token_cost(meta)
    (moving,), detail = meta.rows["temporal"], meta.rows["detail"]
    assert len(detail) == 4 and list(detail) == sorted(detail, reverse=True)
    assert cost.tokens == 3 * 32 + moving + sum(detail)
    assert cost.indices == 3 * (3 * 32 + moving) + sum(detail)
    seen, moved = 2 * log2(5078) + log2(5403), 2 * log2(1872) + log2(9267)
    indices = 3 * 32 * seen + moving * moved + sum(detail) * log2(5403)
    counts = log2(comb(3 * 128, moving)) + log2(3 * 128 + 1)
    for before, here in pairwise([3 * 5 * 8 * 16, *detail]):
        counts += log2(comb(before, here)) + log2(before + 1)
    assert cost.bits == pytest.approx(indices + counts, rel=1e-12)
    assert cost.bits_per_clip == pytest.approx(cost.bits / 3)


@pytest.mark.parametrize(
    ("positions", "rows", "expected"),
    [
        (0, [0, 0], 0),
        (7, [0, 0], 3),
        (7, [7, 0], 3 + 3),
        (8, [4, 1], log2(9) + log2(70) + log2(5) + log2(4)),
        (1 << 32, [1, 1], log2((1 << 32) + 1) + 32 + 1),
    ],
)
def test_choosing_positions_costs_what_the_choice_is_of(
    positions: int, rows: list[int], expected: float
) -> None:
    assert count_bits("detail", positions, rows) == pytest.approx(expected, abs=1e-4)


def test_grids_and_latents(make_tokens: Any) -> None:
    grid = make_tokens(
        family="omnitokenizer", codebooks={"indices": (8192,)}, shapes={"indices": (5, 32, 32)}, frames=17
    )
    assert token_cost(grid.meta).bits == 66_560
    latents = make_tokens(family="vidtok-kl", codebooks={}, shapes={"latents": (4, 5, 8, 16)}, frames=17)
    cost = token_cost(latents.meta)
    assert (cost.tokens, cost.indices, cost.bits) == (640, 0, 640 * 4 * 16)
