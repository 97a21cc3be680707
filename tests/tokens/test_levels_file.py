"""Token files of models with levels, version 2: rows and counts, each held against the other."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.tokens import Tokens, read_meta, read_spread, read_tokens, write_tokens

LEVELS = {"temporal": 1, "detail": 4}
ARRAYS = ["detail", "detail_counts", "meta", "spatial", "temporal", "temporal_counts"]


def save(path: Path, meta: str, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, meta=np.array(meta), **arrays)
    return path


def test_levels_are_plain_numpy_too(tmp_path: Path, make_tokens: Any) -> None:
    tokens = make_tokens(levels=LEVELS)
    write_tokens(tmp_path / "levels.npz", tokens)
    with np.load(tmp_path / "levels.npz", allow_pickle=False) as archive:
        assert sorted(archive) == ARRAYS
        assert archive["detail_counts"].dtype == np.uint8 and archive["detail_counts"].shape == (3, 5, 8, 16)
        assert archive["detail_counts"].sum() == len(archive["detail"])
        assert archive["spatial"].shape == (3, 32, 3)
        np.testing.assert_array_equal(archive["temporal"], tokens.arrays["temporal"])


def changed(array: np.ndarray, place: tuple[int, ...], number: int) -> np.ndarray:
    array = array.copy()
    array[place] = number
    return array


def level(counts: np.ndarray, before: int, after: int) -> np.ndarray:
    """Another number of tokens at the first position that has ``before``."""
    return changed(counts, tuple(np.argwhere(counts == before)[0]), after)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("temporal_counts", lambda a: changed(a, (1, 3), 2), "2 temporal tokens, where 0 to 1 may be"),
        ("detail_counts", lambda a: changed(a, (2, 4, 7, 15), 5), "5 detail tokens, where 0 to 4 may be"),
        (
            "temporal_counts",
            lambda a: changed(a, (0, 0), 1 - a[0, 0]),
            r"counts \d+ temporal tokens of level 1 in 'temporal_counts', and says it has \d+",
        ),
        ("detail_counts", lambda a: level(a, 2, 3), "detail tokens of level 3 in 'detail_c"),
        ("detail_counts", lambda a: level(level(a, 1, 2), 4, 3), "detail tokens of level 2 in 'detail_c"),
        ("detail", lambda a: a[:-1], r"not uint16 \[\d+, 1\]"),
        ("detail", lambda a: changed(a, (0, 0), 5403), "index 5403 in 'detail', past its codebook"),
        ("spatial", lambda a: a.reshape(-1, 3), r"not uint16 \[3, 32, 3\]"),
        ("temporal_counts", lambda a: a.astype(np.int64), "holds 'temporal_counts' as int64"),
        ("temporal_counts", lambda a: a[:, 1:], r"holds 'temporal_counts' as uint8 \[3, 127\]"),
        ("temporal_counts", lambda a: None, "holds the arrays"),
    ],
)
def test_counts_are_held_against_the_rows(
    tmp_path: Path, make_tokens: Any, name: str, change: Any, expected: str
) -> None:
    tokens = make_tokens(levels=LEVELS)
    arrays = {**tokens.arrays, name: change(tokens.arrays[name])}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    path = save(tmp_path / "clip.npz", tokens.meta.to_json(), **arrays)
    for read in (read_tokens, read_meta):
        with pytest.raises(SweettokError, match=expected):
            read(path)
    with pytest.raises(SweettokError, match="cannot be written"):
        write_tokens(tmp_path / "again.npz", Tokens(arrays, tokens.meta))


def test_counts_come_clip_by_clip(tmp_path: Path, make_tokens: Any) -> None:
    tokens = make_tokens(levels=LEVELS)
    arrays = {name: np.asfortranarray(array) for name, array in tokens.arrays.items()}
    with pytest.raises(
        SweettokError, match="'temporal_counts' in column order; save its counts clip by clip"
    ):
        read_tokens(save(tmp_path / "columns.npz", tokens.meta.to_json(), **arrays))
    write_tokens(tmp_path / "clip.npz", Tokens(arrays, tokens.meta))
    for name, array in read_tokens(tmp_path / "clip.npz").arrays.items():
        assert np.array_equal(array, tokens.arrays[name])


def test_how_tokens_are_spread_is_read_in_little_memory(tmp_path: Path, make_tokens: Any) -> None:
    tokens = make_tokens(frames=17 * 2400, levels=LEVELS)
    write_tokens(tmp_path / "long.npz", tokens)
    tracemalloc.start()
    try:
        meta, spreads = read_spread(tmp_path / "long.npz")
        assert tracemalloc.get_traced_memory()[1] < 5 << 20 < tokens.meta.array_bytes
    finally:
        tracemalloc.stop()
    assert meta == tokens.meta
    for name, spread in spreads.items():
        counts = tokens.arrays[f"{name}_counts"]
        sums = counts.reshape(len(counts), -1).sum(axis=1)
        assert (spread.least, spread.most, spread.tokens) == (sums.min(), sums.max(), sum(meta.rows[name]))
        assert spread.rows == meta.rows[name]
        assert spread.positions.tolist() == np.bincount(counts.ravel(), minlength=LEVELS[name] + 1).tolist()
    write_tokens(tmp_path / "dense.npz", make_tokens())
    assert read_spread(tmp_path / "dense.npz")[1] == {}
