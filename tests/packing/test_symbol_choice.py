"""Parts of all symbols fill the whole, without a gap and without an overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweettok_cli.packing.choice import EVENS, Choice, Even
from sweettok_cli.packing.frequencies import GAIN, LIMIT, Frequencies, even
from sweettok_cli.packing.rans import WHOLE

SYMBOLS = 9


@given(
    counts=st.lists(st.integers(1, LIMIT // SYMBOLS), min_size=SYMBOLS, max_size=SYMBOLS),
    candidates=st.lists(st.integers(0, SYMBOLS - 1), unique=True, max_size=5),
    odds=st.lists(st.integers(0, 1 << 20), min_size=5, max_size=5),
    least=st.integers(0, SYMBOLS - 1),
)
def test_parts_fill_the_whole(counts: list[int], candidates: list[int], odds: list[int], least: int) -> None:
    begins = Frequencies(np.array(counts)).begins
    given_odds = [value if each >= least else 0 for each, value in zip(candidates, odds, strict=False)]
    cells = SYMBOLS - least  # one a symbol that may come
    choice = Choice(
        begins,
        np.tile(np.array(candidates, np.int64)[:, None], cells),
        np.tile(np.array(given_odds, np.int64)[:, None], cells),
        np.full(cells, least),
    )
    symbols = np.arange(least, SYMBOLS)
    begin, size = choice.parts(symbols)
    assert (size > 0).all()
    assert begin[0] == 0
    np.testing.assert_array_equal(begin + size, [*begin[1:], WHOLE])
    for slots in (begin, begin + size // 2, begin + size - 1):
        np.testing.assert_array_equal(choice.find(slots), symbols)


@pytest.mark.parametrize("symbols", [1, 2, 1000, 65536])
def test_even_parts_fill_the_whole(symbols: int) -> None:
    every = np.arange(symbols)
    begin, size = Even(symbols).parts(every)
    assert begin[0] == 0
    np.testing.assert_array_equal(begin + size, [*begin[1:], WHOLE])
    for slots in (begin, begin + size - 1):
        np.testing.assert_array_equal(Even(symbols).find(slots), every)


def test_candidate_gets_what_its_odds_say() -> None:
    begins = Frequencies(even(1000)).begins
    choice = Choice(begins, np.array([[7]]), np.array([[3 * EVENS]]))
    _, size = choice.parts(np.array([7]))
    assert abs(size[0] / WHOLE - 0.75) < 0.03


def test_frequencies_follow_what_comes() -> None:
    frequencies = Frequencies(even(100))
    frequencies.add(np.array([3, 3, 5]))
    counts = np.diff(frequencies.begins)
    assert (counts[3] - counts[0], counts[5] - counts[0]) == (2 * GAIN, GAIN)
    for _ in range(2 * LIMIT // GAIN // 64):
        frequencies.add(np.full(64, 9))
    counts = np.diff(frequencies.begins)
    assert frequencies.begins[-1] <= LIMIT
    assert counts.min() == 1
    assert counts[3] < GAIN  # what is long past counts less
