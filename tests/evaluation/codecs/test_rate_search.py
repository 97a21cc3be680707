"""The search of a rate factor, on encoders that are formulas."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweettok_cli.evaluation.codecs.rate_search import TOLERANCE, Scale, find_setting

SCALE = Scale(1, 51, step=1 / 16, octave=6, start=30)


def exponential(
    at_start: float, octave: float, step: float = 0.0
) -> tuple[Callable[[float], int], list[float]]:
    """Bits that halve every ``octave``, in stairs of ``step``; and the list of settings asked for."""
    asked: list[float] = []

    def bits(setting: float) -> int:
        asked.append(setting)
        place = math.floor(setting / step) * step if step else setting
        return max(1, round(at_start * 2 ** ((SCALE.start - place) / octave)))

    return bits, asked


@settings(max_examples=100, deadline=None)
@given(octave=st.floats(4, 8), share=st.floats(0.2, 8))
def test_a_target_on_the_scale_is_met_in_few_encodings(octave: float, share: float) -> None:
    bits, asked = exponential(1e6, octave)
    target = 1e6 * share
    found = find_setting(bits, target, SCALE)
    assert found.bits == pytest.approx(target, rel=TOLERANCE)
    assert found.limit is None
    assert found.bits == bits(found.setting)
    assert len(asked) - 1 <= 6
    assert len(set(asked)) == len(asked) - (found.setting in asked[:-1])  # none is encoded twice


def test_stairs_end_on_the_most_bits_that_are_not_above() -> None:
    bits, asked = exponential(1e6, octave=6, step=1.0)
    target = 1e6 * 2 ** (-2.5 / 6)  # between the stairs of 32 and 33
    found = find_setting(bits, target, SCALE)
    assert math.floor(found.setting) == 33
    assert found.bits == bits(33)
    assert len(asked) <= 17


def test_a_setting_that_breaks_the_order_does_no_harm() -> None:
    smooth, _ = exponential(1e6, octave=6)

    def bits(setting: float) -> int:
        return smooth(setting) * (3 if 33 < setting < 33.5 else 1)

    target = smooth(36)
    assert find_setting(bits, target, SCALE).bits <= target * (1 + TOLERANCE)


@pytest.mark.parametrize(("share", "limit", "setting"), [(0.01, "floor", 51), (100, "ceiling", 1)])
def test_targets_beyond_the_scale_give_its_end_and_say_so(share: float, limit: str, setting: float) -> None:
    bits, asked = exponential(1e6, octave=6)
    found = find_setting(bits, 1e6 * share, SCALE)
    assert (found.limit, found.setting) == (limit, setting)
    assert len(asked) <= 4


def test_an_encoder_that_spends_the_same_everywhere_has_its_best_quality_chosen() -> None:
    assert find_setting(lambda setting: 500 + int(setting), 1e6, SCALE).setting == 1
    found = find_setting(lambda setting: 500, 400, SCALE)
    assert (found.limit, found.setting, found.bits) == ("floor", 51, 500)


def test_a_cliff_is_found_to_the_step() -> None:
    found = find_setting(
        lambda setting: 10**12 if setting < 33 else int(900 - 16 * (setting - 33)), 1000, SCALE
    )
    assert (found.setting, found.bits, found.limit) == (33, 900, None)


@settings(max_examples=100, deadline=None)
@given(target=st.floats(1, 1e6), seed=st.integers(0, 1 << 30))
def test_an_encoder_without_any_order_still_gets_an_answer(target: float, seed: int) -> None:
    bits = random.Random(seed).choices(range(1, 10**6), k=SCALE.last + 1)
    found = find_setting(lambda setting: bits[SCALE.number(setting)], target, SCALE)
    assert found.bits == bits[SCALE.number(found.setting)]
    assert (found.bits > target * (1 + TOLERANCE)) == (found.limit == "floor")


def test_an_end_within_the_tolerance_is_no_limit() -> None:
    bits, _ = exponential(1e6, octave=6)
    found = find_setting(bits, bits(51) * 0.995, SCALE)
    assert (found.limit, found.setting) == (None, 51)


def test_the_scale_ends_at_its_highest_step() -> None:
    scale = Scale(1, 10, step=2, octave=6, start=4)
    assert [scale.setting(number) for number in range(scale.last + 1)] == [1, 3, 5, 7, 9]
    assert (scale.number(-5), scale.number(6.9), scale.number(99)) == (0, 3, 4)


def test_wrong_targets_are_refused() -> None:
    bits, _ = exponential(1e6, octave=6)
    for target in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="more than 0 bits"):
            find_setting(bits, target, SCALE)
