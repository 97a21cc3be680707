"""Whatever rate, times and pixel shape a token file may state, a video can be written with them and read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.limits import HIGHEST_RATE, MAX_SECONDS, MOST_STRETCHED
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.video import VideoReader, VideoWriter

WHOLE = st.one_of(
    *(st.integers(1, 1 << 62), st.integers(1, 100_000)),
    st.sampled_from([1, 1000, 1001, 90_000, (1 << 31) - 1, 1 << 31, 1 << 32]),
)


def ratios(least: Fraction, most: int) -> st.SearchStrategy[Fraction]:
    within = st.builds(Fraction, WHOLE, WHOLE).filter(lambda value: least <= value <= most)
    return st.one_of(within, st.fractions(least, most), st.sampled_from([least, Fraction(most)]))


RATES = ratios(Fraction(1, MAX_SECONDS), HIGHEST_RATE)
SHAPES = ratios(Fraction(1, MOST_STRETCHED), MOST_STRETCHED)
STEPS = st.lists(
    st.one_of(st.integers(1, 100), st.integers(1, 1 << 60), st.sampled_from([1, 40, 1 << 31])), max_size=6
)
few = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def described(
    frames: int,
    rate: Fraction,
    base: Fraction | None = None,
    ticks: tuple[int, ...] | None = None,
    shape: Fraction = Fraction(1),
) -> TokenMeta:
    return TokenMeta(
        family="f",
        model="m",
        weights_sha256="0" * 64,
        codebooks={"indices": (4,)},
        shapes={"indices": (1, 1, 1)},
        source="s",
        image=False,
        width=16,
        height=16,
        padded_width=16,
        padded_height=16,
        frames=frames,
        rate=rate,
        clip_frames=frames,
        time_base=base,
        times=ticks,
        sample_aspect_ratio=shape,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TokenMeta], list[Fraction]]:
    """Times of the frames of the video that a description asks for."""
    path = tmp_path_factory.mktemp("written") / "a.mp4"

    def write(meta: TokenMeta) -> list[Fraction]:
        times, shape = meta.frame_times(), meta.sample_aspect_ratio
        with VideoWriter(
            path, 16, 16, meta.rate, times=times, sample_aspect_ratio=shape, force=True
        ) as writer:
            for index in range(meta.frames):
                writer.write(np.full((16, 16, 3), index * 9, np.uint8))
        with VideoReader(path, strict=True) as reader:
            return [frame.time for frame in reader]

    return write


@few
@given(rate=RATES, shape=SHAPES, frames=st.integers(1, 5))
def test_any_even_rate(
    written: Callable[[TokenMeta], list[Fraction]], rate: Fraction, shape: Fraction, frames: int
) -> None:
    try:
        meta = described(frames, rate, shape=shape)
    except TokenFault:
        assume(False)
    times = written(meta)
    assert len(times) == frames
    for before, after in itertools.pairwise(times):
        # A tick is a microsecond, or as much of a longer frame as 29 bits can tell.
        assert abs(after - before - 1 / rate) <= max(Fraction(2, 10**6), 1 / rate / (1 << 20))


@few
@given(ticks=WHOLE, per=WHOLE, start=st.sampled_from([0, 7, 1 << 40]), steps=STEPS, rate=RATES)
def test_any_times(
    written: Callable[[TokenMeta], list[Fraction]],
    ticks: int,
    per: int,
    start: int,
    steps: list[int],
    rate: Fraction,
) -> None:
    stamps = tuple(itertools.accumulate(steps, initial=start))
    try:
        meta = described(len(stamps), rate, Fraction(ticks, per), stamps)
    except TokenFault:
        assume(False)
    times = written(meta)
    assert len(times) == len(stamps) and all(a < b for a, b in itertools.pairwise(times))


def test_long_pauses_come_back(written: Callable[[TokenMeta], list[Fraction]]) -> None:
    stamps = (0, 49, 50, 51, 51 + 3600, 52 + 3600, 90_000)
    assert written(described(7, Fraction(25), Fraction(1), stamps)) == list(stamps)


@pytest.mark.parametrize("rate", [Fraction(HIGHEST_RATE + 1), Fraction(1, MAX_SECONDS + 1)])
def test_rates_that_no_video_has_are_refused(rate: Fraction) -> None:
    with pytest.raises(TokenFault, match=r"impossible value for rate|17 years"):
        described(1, rate)


def test_times_beyond_all_use_are_refused() -> None:
    with pytest.raises(TokenFault, match="17 years"):
        described(2, Fraction(25), Fraction(1), (0, MAX_SECONDS + 1))
