"""Any parts come back, no byte is wasted, and what was not coded so is said."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweettok_cli.packing.rans import WHOLE, CodeFault, Decoder, encode, fewest_bytes

Parts = tuple[list[np.ndarray], list[np.ndarray]]


def random_parts(seed: int, steps: int, lanes: int) -> Parts:
    """Parts of all sizes from 1 to the whole, at most ``lanes`` a step."""
    random = np.random.default_rng(seed)
    begins, sizes = [], []
    for _ in range(steps):
        count = random.integers(1, lanes + 1)
        begin = random.integers(0, WHOLE, count)
        most = np.minimum(WHOLE - begin, 1 << random.integers(0, 25, count))
        begins.append(begin)
        sizes.append(np.maximum(1, (random.random(count) * most).astype(np.int64)))
    return begins, sizes


def decode(coded: bytes, parts: Parts, lanes: int) -> None:
    decoder = Decoder(coded, lanes)
    for begin, size in zip(*parts, strict=True):
        slots = decoder.slots(len(begin))
        assert ((begin <= slots) & (slots < begin + size)).all()
        decoder.take(slots, begin, size)
    decoder.finish()


@given(seed=st.integers(0, 1 << 32), steps=st.integers(0, 40), lanes=st.integers(1, 40))
def test_any_parts_come_back(seed: int, steps: int, lanes: int) -> None:
    parts = random_parts(seed, steps, lanes)
    coded = encode(*parts, lanes)
    decode(coded, parts, lanes)
    assert len(coded) >= fewest_bytes(lanes)


def test_bytes_are_the_same_on_every_machine() -> None:
    coded = encode(*random_parts(1, 100, 16), 16)
    assert (
        hashlib.sha256(coded).hexdigest()
        == "e2ae687c2fc27c8ef236c4f27a520ab1f4dd08b250e0f6496793774351138fb6"
    )


def test_takes_what_the_parts_cost() -> None:
    begins, sizes = random_parts(0, 2000, 8)
    bits = sum(math.log2(WHOLE / size) for part in sizes for size in part)
    assert 8 * len(encode(begins, sizes, 8)) < bits + 8 * 64


def test_whole_costs_nothing() -> None:
    steps = [np.zeros(4, np.int64)] * 1000
    assert len(encode(steps, [np.full(4, WHOLE)] * 1000, 4)) == fewest_bytes(4)


@pytest.mark.parametrize("cut", [0, 3, -1, -4])
def test_bytes_that_are_missing_are_said(cut: int) -> None:
    parts = random_parts(2, 50, 4)
    with pytest.raises(CodeFault):
        decode(encode(*parts, 4)[:cut], parts, 4)


def test_bytes_that_are_left_are_said() -> None:
    parts = random_parts(3, 5, 4)
    with pytest.raises(CodeFault, match="left"):
        decode(encode(*parts, 4) + bytes(4), parts, 4)


def test_states_that_no_encoder_leaves_are_said() -> None:
    with pytest.raises(CodeFault, match="state"):
        Decoder(bytes(fewest_bytes(4)), 4)
