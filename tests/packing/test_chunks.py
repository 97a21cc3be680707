"""Chunks of any arrays come back, each without the others; what repeats costs little."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from tokens.conftest import LEVELS, random_tokens

from sweettok_cli.packing.chunks import MAX_CELLS, ChunkCoder
from sweettok_cli.packing.layers import Rows, column_kinds
from sweettok_cli.packing.prior import TokenPrior
from sweettok_cli.packing.rans import CodeFault
from sweettok_cli.tokens import TokenFault, TokenMeta, Tokens, token_cost
from sweettok_cli.tokens.ragged import counts_name, places

STREAM: dict[str, Any] = {
    "family": "vidtok-fsq",
    "codebooks": {"indices": (4096,)},
    "shapes": {"indices": (40, 48, 48)},
    "frames": 17,
}


def coded(coder: ChunkCoder, tokens: Tokens) -> list[bytes]:
    rows: Rows = {}
    return [coder.encode(tokens.arrays, number, rows) for number in range(len(coder))]


def empty(meta: TokenMeta) -> dict[str, np.ndarray]:
    return {name: np.zeros(meta.array_shape(name), meta.dtype(name)) for name in meta.arrays}


def test_arrays_come_back(tokens: Tokens) -> None:
    coder = ChunkCoder(tokens.meta, {})
    arrays, rows = empty(tokens.meta), Rows()
    for number, chunk in enumerate(coded(coder, tokens)):
        assert len(chunk) >= coder.fewest_bytes(number)
        coder.decode(chunk, arrays, number, rows)
    for name, array in tokens.arrays.items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("changes", [{"frames": 17 * 150}, STREAM], ids=["clips", "stream"])
def test_chunk_is_decoded_without_the_others(changes: dict[str, Any]) -> None:
    tokens = random_tokens(**changes)
    coder = ChunkCoder(tokens.meta, {})
    chunks = coded(coder, tokens)
    assert len(chunks) > 1
    arrays = empty(tokens.meta)
    coder.decode(chunks[-1], arrays, len(chunks) - 1)
    for name, array in tokens.arrays.items():
        found, expected = arrays[name].reshape(-1), array.reshape(-1)
        begins = int(np.flatnonzero(found)[0])
        assert begins > len(found) // 2
        np.testing.assert_array_equal(found[begins:], expected[begins:])


def test_chunk_of_rows_is_decoded_without_the_others() -> None:
    tokens = random_tokens(frames=17 * 60, levels=LEVELS)
    coder = ChunkCoder(tokens.meta, {})
    *before, last = coded(coder, tokens)
    assert before
    arrays, rows = empty(tokens.meta), Rows()
    coder.decode(last, arrays, len(before), rows)
    for name in tokens.meta.levels:
        counts = arrays[counts_name(name)]
        first = int(np.flatnonzero(counts.reshape(len(counts), -1).any(axis=1))[0])
        assert first >= len(counts) // 2
        np.testing.assert_array_equal(counts[first:], tokens.arrays[counts_name(name)][first:])
        assert rows[name] == counts.sum(dtype=int) > 0
        np.testing.assert_array_equal(arrays[name][: rows[name]], tokens.arrays[name][-rows[name] :])


def test_more_rows_than_described_are_refused() -> None:
    """Of random counts, some other description of them fits the same chunk."""
    tokens = random_tokens(frames=17, levels=LEVELS)
    coder = ChunkCoder(tokens.meta, {})
    (chunk,) = coded(coder, tokens)
    arrays = empty(tokens.meta)
    arrays["detail"] = arrays["detail"][1:]
    with pytest.raises(CodeFault, match="more tokens than are described"):
        coder.decode(chunk, arrays, 0)


def test_random_indices_cost_their_true_bits() -> None:
    """Of what has no order nothing is learned, and it is not made larger."""
    tokens = random_tokens(frames=17 * 20)
    coder = ChunkCoder(tokens.meta, {})
    chunks = coded(coder, tokens)
    assert 8 * sum(map(len, chunks)) < 1.01 * token_cost(tokens.meta).bits
    arrays = empty(tokens.meta)
    coder.decode(chunks[0], arrays, 0)
    np.testing.assert_array_equal(arrays["temporal"], tokens.arrays["temporal"])


def test_random_rows_cost_their_true_bits() -> None:
    tokens = random_tokens(frames=17 * 20, levels={"temporal": 1, "detail": 1})
    coder = ChunkCoder(tokens.meta, {})
    assert 8 * sum(map(len, coded(coder, tokens))) < 1.01 * token_cost(tokens.meta).bits


def test_detail_that_repeats_costs_little() -> None:
    """Also where cells had none in between: their last token is remembered."""
    tokens = random_tokens(frames=17 * 4, levels=LEVELS)
    random, counts = np.random.default_rng(0), tokens.arrays["detail_counts"]
    of_cell = random.integers(0, tokens.meta.codebooks["detail"], (4, 8 * 16, 1))
    _, level, position = places(counts)
    arrays = {**tokens.arrays, "detail": of_cell[level, position % (8 * 16)].astype("<u2")}
    coder = ChunkCoder(tokens.meta, {})
    repeated = Tokens(arrays, tokens.meta)
    repeated.check()
    uniform, again = (len(b"".join(coded(coder, each))) for each in (tokens, repeated))
    # All else costs the same; a tenth of the tokens is new.
    saved, detail = uniform - again, len(level) * np.log2(5403) / 8
    assert 0.85 * detail < saved < 0.9 * detail


def test_what_repeats_costs_little(settled: Tokens, prior: TokenPrior) -> None:
    uniform = len(b"".join(coded(ChunkCoder(settled.meta, {}), random_tokens())))
    alone = len(b"".join(coded(ChunkCoder(settled.meta, {}), settled)))
    helped = len(b"".join(coded(ChunkCoder(settled.meta, prior.starts), settled)))
    assert alone < 0.6 * uniform
    assert helped < 0.75 * alone


def test_same_place_of_the_clip_before_is_worth_something(settled: Tokens) -> None:
    """Of clips in which each place is moved on its own, the words are the same and the file is larger."""
    moved = {
        name: np.stack([np.roll(clip, 3 * number, axis=0) for number, clip in enumerate(array)])
        for name, array in settled.arrays.items()
    }
    coder = ChunkCoder(settled.meta, {})
    here = len(b"".join(coded(coder, settled)))
    assert here < 0.8 * len(b"".join(coded(coder, Tokens(moved, settled.meta))))


def test_modifiers_in_order_cost_less(settled: Tokens) -> None:
    turned = {name: array[..., [1, 0, 2]] for name, array in settled.arrays.items()}
    coder = ChunkCoder(settled.meta, {})
    mixed = Tokens(turned, settled.meta)
    chunks = coded(coder, mixed)
    assert len(coded(coder, settled)[0]) < len(chunks[0])
    arrays = empty(settled.meta)
    coder.decode(chunks[0], arrays, 0)
    np.testing.assert_array_equal(arrays["spatial"], turned["spatial"])


def test_bytes_are_the_same_on_every_machine(settled: Tokens, prior: TokenPrior) -> None:
    chunks = coded(ChunkCoder(settled.meta, prior.starts), settled)
    assert hashlib.sha256(b"".join(chunks)).hexdigest()[:32] == "8f04d165b25192d6e5a1c59720981cc6"


def test_large_codebooks_are_two_columns() -> None:
    assert column_kinds([65536])[1] == (1,)
    columns, parts = column_kinds([262144, 1 << 32])
    assert parts == (512, 65536)
    assert [each.symbols for each in columns] == [512, 512, 65536, 65536]
    assert not any(each.shared for each in columns)


@pytest.mark.parametrize("size", [65537, 1_000_003, 1 << 32])
def test_indices_of_large_codebooks_come_back(size: int) -> None:
    tokens = random_tokens(
        family="vidtok-fsq", codebooks={"indices": (size,)}, shapes={"indices": (2, 8, 16)}
    )
    tokens.arrays["indices"][0, 0, 0, :2] = 0, size - 1
    coder, arrays = ChunkCoder(tokens.meta, {}), empty(tokens.meta)
    coder.decode(coder.encode(tokens.arrays, 0), arrays, 0)
    np.testing.assert_array_equal(arrays["indices"], tokens.arrays["indices"])


def test_clips_without_tokens_take_no_time() -> None:
    none = {"shapes": {"spatial": (0, 3), "temporal": (0, 3)}, "frames": 1 << 30, "clip_frames": 2}
    tokens = random_tokens(**none)
    coder = ChunkCoder(tokens.meta, {})
    (chunk,) = coded(coder, tokens)
    coder.decode(chunk, empty(tokens.meta), 0)


def test_planes_that_would_fill_the_memory_are_refused() -> None:
    shape = {"indices": (1, 2, MAX_CELLS // 2 + 1)}
    meta = random_tokens(frames=1, codebooks={"indices": (2,)}, shapes=shape).meta
    with pytest.raises(TokenFault, match="over one picture"):
        ChunkCoder(meta, {})


@pytest.mark.parametrize("damage", [b"", b"\xff", b"\x00" * 30])
def test_what_was_not_coded_so_is_said(settled: Tokens, damage: bytes) -> None:
    with pytest.raises(CodeFault):
        ChunkCoder(settled.meta, {}).decode(damage, empty(settled.meta), 0)
    latents = random_tokens(family="vidtok-kl", codebooks={}, shapes={"latents": (4, 5, 8, 16)})
    with pytest.raises(CodeFault):
        ChunkCoder(latents.meta, {}).decode(damage, empty(latents.meta), 0)
