"""What arrays cost agrees with what the token file says they cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sweettok_cli.tokens.layout import CostCounter, GridTokens, TiledTokens, TokenizerSpec, token_cost
from sweettok_cli.tokens.ragged import split_clips


def test_bits_are_the_logarithms_of_the_codebook_sizes() -> None:
    cost = CostCounter(
        TokenizerSpec("words", codebooks={"spatial": [1024, 1024, 4096], "temporal": [256, 256, 3]})
    )
    cost.add({"spatial": np.zeros((2, 256, 3), np.uint16), "temporal": np.zeros((2, 1024, 3), np.uint16)})
    cost.add({"spatial": np.zeros((1, 16, 3), np.uint16), "temporal": np.zeros((1, 0, 3), np.uint16)})
    assert (cost.clips, cost.tokens, cost.indices) == (3, 2 * 1280 + 16, 3 * (2 * 1280 + 16))
    assert cost.bits == pytest.approx(528 * (10 + 10 + 12) + 2048 * (8 + 8 + np.log2(3)))


def test_rows_are_counted_with_their_counts_as_the_file_states_them(make_tokens: Any) -> None:
    levels = {"temporal": 1, "detail": 4}
    tokens = make_tokens(levels=levels)
    books = {name: list(sizes) for name, sizes in tokens.meta.codebooks.items()}
    cost = CostCounter(TokenizerSpec("levels", codebooks=books, layout=TiledTokens(levels=levels)))
    for part in split_clips(tokens.arrays, 2):
        cost.add(part)
    expected = token_cost(tokens.meta)
    assert (cost.clips, cost.tokens, cost.indices) == (3, expected.tokens, expected.indices)
    assert cost.bits == pytest.approx(expected.bits)


def test_a_model_with_levels_may_give_dense_tokens_which_have_no_counts_to_pay() -> None:
    spec = TokenizerSpec(
        "levels",
        codebooks={"spatial": [4] * 3, "temporal": [2] * 3, "detail": [4]},
        layout=TiledTokens(levels={"temporal": 1, "detail": 6}),
    )
    cost = CostCounter(spec)
    cost.add({"spatial": np.zeros((2, 16, 3), np.uint16), "temporal": np.zeros((2, 64, 3), np.uint16)})
    assert (cost.clips, cost.tokens, cost.bits) == (2, 160, 2 * (16 * 6 + 64 * 3))


def test_a_grid_holds_one_index_a_token() -> None:
    cost = CostCounter(TokenizerSpec("grid", codebooks={"indices": [8192]}, layout=GridTokens(4, 8)))
    cost.add({"indices": np.zeros((2, 5, 32, 32), np.uint16)})
    assert (cost.clips, cost.tokens, cost.indices, cost.bits) == (2, 10240, 10240, 10240 * 13)


def test_latents_cost_sixteen_bits_a_number_and_hold_no_index() -> None:
    cost = CostCounter(TokenizerSpec("latents", layout=GridTokens(4, 8, channels=4)))
    cost.add({"latents": np.zeros((2, 4, 5, 8, 8), np.float16)})
    assert (cost.clips, cost.tokens, cost.indices, cost.bits) == (2, 2 * 320, 0, 2 * 4 * 320 * 16)


def test_a_stream_is_one_clip_in_pieces() -> None:
    cost = CostCounter(
        TokenizerSpec("s", codebooks={"indices": [8]}, layout=GridTokens(4, 8), stream_frames=16)
    )
    for frames in (1, 4, 2):
        cost.add({"indices": np.zeros((1, frames, 2, 2), np.uint16)})
    assert (cost.clips, cost.tokens, cost.bits) == (1, 28, 84)
