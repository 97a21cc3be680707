"""Rows and counts: which row is whose, clips apart and together, sums from pieces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sweettok_cli.tokens.ragged import (
    Spread,
    check_rows,
    clip_ends,
    clips_in,
    places,
    rows_by_level,
    split_clips,
    token_map,
)

COUNTS = np.array([[1, 0, 2], [0, 0, 0], [3, 1, 0]], np.uint8)
LEVELS = {"temporal": 1, "detail": 3}


def ragged(seed: int = 0, clips: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    counts = {
        "temporal": random.integers(0, 2, (clips, 6)),
        "detail": random.integers(0, 4, (clips, 2, 3, 4)),
    }
    arrays = {"spatial": random.integers(0, 100, (clips, 2, 3))}
    arrays |= {f"{name}_counts": array for name, array in counts.items()}
    for name, array in counts.items():
        arrays[name] = random.integers(0, 100, (array.sum(), {"temporal": 3, "detail": 1}[name]))
    return arrays


def test_rows_come_clip_by_clip_then_level_by_level_then_in_raster_order() -> None:
    found = [tuple(map(int, place)) for place in zip(*places(COUNTS), strict=True)]
    assert found == [(0, 0, 0), (0, 0, 2), (0, 1, 2), (2, 0, 0), (2, 0, 1), (2, 1, 0), (2, 2, 0)]
    assert clip_ends(COUNTS).tolist() == [0, 3, 3, 7]
    assert rows_by_level(COUNTS, 4) == (4, 2, 1, 0)


def test_positions_of_several_axes_come_in_raster_order() -> None:
    counts = np.random.default_rng(0).integers(0, 4, (3, 2, 3, 4))
    flat = counts.reshape(3, 24)
    for one, other in zip(places(counts), places(flat), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(clip_ends(counts), clip_ends(flat))
    assert rows_by_level(counts, 3) == rows_by_level(flat, 3) == tuple((flat >= n).sum() for n in (1, 2, 3))


@pytest.mark.parametrize("shape", [(2, 0), (0, 3), (0, 1, 2, 2), (2, 3), (2, 1, 2, 2)])
def test_no_tokens_have_no_places(shape: tuple[int, ...]) -> None:
    counts = np.zeros(shape, np.uint8)
    assert [len(each) for each in places(counts)] == [0, 0, 0]
    assert not clip_ends(counts).any()


def test_tokens_become_rows_and_come_back_as_arrays_and_as_tensors() -> None:
    clip, level, position = places(COUNTS)
    tokens = np.random.default_rng(0).integers(0, 9, (3, 3, 3, 2))  # [clips, positions, levels, columns]
    rows = tokens[clip, position, level]
    assert rows.shape == (7, 2)
    again = np.full_like(tokens, -1)
    again[clip, position, level] = rows
    there = np.arange(3) < COUNTS[..., None]
    assert np.array_equal(again[there], tokens[there]) and (again[~there] == -1).all()
    assert np.array_equal(torch.from_numpy(tokens)[clip, position, level].numpy(), rows)


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_clips_apart_are_what_they_were_together(size: int) -> None:
    whole = ragged()
    parts = list(split_clips(whole, size))
    assert [clips_in(part) for part in parts] == [min(size, 5 - start) for start in range(0, 5, size)]
    for part in parts:
        check_rows(part, LEVELS)
    for name, array in whole.items():
        assert np.array_equal(np.concatenate([part[name] for part in parts]), array)
    dense = {"spatial": np.zeros((5, 2, 3)), "temporal": np.zeros((5, 0, 3))}
    assert [len(part["temporal"]) for part in split_clips(dense, 2)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("detail", lambda array: array[1:], r"detail_counts counts \d+ tokens, and detail has \d+ rows"),
        (
            "temporal_counts",
            lambda array: array[1:],
            "spatial of 5, temporal_counts of 4, detail_counts of 5",
        ),
        ("spatial", lambda array: array[1:], "spatial of 4, temporal_counts of 5"),
        ("temporal_counts", lambda array: array + 1, "temporal_counts holds 1 to 2, where 0 to 1 may be"),
        ("detail_counts", lambda array: array - 1, "where 0 to 3 may be"),
    ],
)
def test_rows_that_do_not_fit_their_counts_are_refused(name: str, change: object, expected: str) -> None:
    arrays = ragged()
    with pytest.raises(ValueError, match=expected):
        check_rows({**arrays, name: change(arrays[name])}, LEVELS)  # type: ignore[operator]


@settings(max_examples=100, deadline=None)
@given(
    clips=st.integers(1, 6),
    positions=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 240), max_size=8),
    seed=st.integers(0, 1000),
)
def test_pieces_of_any_length_add_up(clips: int, positions: int, cuts: list[int], seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 5, (clips, positions), np.uint8)
    spread = Spread(positions, 4)
    for piece in np.split(counts.ravel(), sorted(cuts)):
        spread.add(piece)
    sums = counts.sum(axis=1)
    assert (spread.tokens, spread.least, spread.most) == (sums.sum(), sums.min(), sums.max())
    assert spread.positions.tolist() == [int((counts == many).sum()) for many in range(5)]
    assert spread.rows == rows_by_level(counts, 4)
    known = Spread.of_rows(spread.rows, positions, len(sums))
    assert (known.tokens, known.positions.tolist()) == (spread.tokens, spread.positions.tolist())
    one = (spread.least, spread.most) if clips == 1 or not sums.any() else (None, None)
    assert (known.least, known.most) == one


def test_a_map_shares_the_tokens_of_larger_squares_and_of_whole_clips_out() -> None:
    temporal, detail = np.zeros((2, 32), np.uint8), np.zeros((2, 5, 4, 8), np.uint8)  # of 64x32 pixels
    temporal[1, 9] = 1  # second row of eight, second column
    detail[0, 2, 3, 7] = 3
    arrays = {"spatial": np.zeros((2, 8, 3), np.uint16), "temporal_counts": temporal, "detail_counts": detail}
    arrays |= {name: np.zeros((arrays[f"{name}_counts"].sum(), 3), np.uint16) for name in LEVELS}
    side, tokens = token_map(arrays, 32, 64)
    assert side == 8 and tokens.shape == (2, 5, 4, 8)
    assert tokens.sum(axis=(1, 2, 3)) == pytest.approx([8 + 3, 8 + 1])
    expected = np.full((2, 5, 4, 8), 1 / 4 / 5)
    expected[1, :, 1, 1] += 1 / 5
    expected[0, 2, 3, 7] += 3
    assert tokens == pytest.approx(expected)
    arrays |= {"temporal_counts": temporal[:, :0], "detail_counts": detail[:, :1]}  # pictures
    side, tokens = token_map(arrays, 32, 64)
    assert side == 8 and tokens.shape == (2, 1, 4, 8) and (tokens == 1 / 4).all()
