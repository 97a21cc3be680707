"""Synthetic clips: functions of their generator, of the right shape, each kind as it is described."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.data import synthetic
from sweettok_cli.data.synthetic import synthetic_clip


def clip(seed: int, frames: int = 5, side: int = 40) -> tuple[np.ndarray, str]:
    return synthetic_clip(np.random.default_rng(seed), frames, side)


def test_a_clip_is_a_function_of_its_generator() -> None:
    made = [clip(seed) for seed in range(12)]
    for seed, (frames, name) in enumerate(made):
        again, same = clip(seed)
        assert np.array_equal(frames, again) and name == same
        assert frames.dtype == np.uint8 and frames.shape == (5, 40, 40, 3)
    assert len({frames.tobytes() for frames, _ in made}) == 12


def test_all_kinds_come_in_their_shares() -> None:
    random = np.random.default_rng(0)
    names = [synthetic_clip(random, 1, 16)[1] for _ in range(400)]
    kinds = {"flat": 0.3, "fields": 0.15, "gradient": 0.15, "drawing": 0.2, "text": 0.1, "screen": 0.1}
    for name, share in kinds.items():
        assert abs(names.count(name) / 400 - share) < 0.08, name


@pytest.mark.parametrize("side", [1, 8, 33])
@pytest.mark.parametrize("name", ["flat", "fields", "gradient", "drawing", "text", "screen"])
def test_every_kind_has_any_size_and_length(name: str, side: int) -> None:
    kind, _ = synthetic._KINDS[name]
    for frames in (1, 4):
        for seed in range(3):
            pictures = [np.asarray(picture) for picture in kind(np.random.default_rng(seed), frames, side)]
            assert len(pictures) == frames
            for picture in pictures:
                assert picture.shape == (side, side, 3)
                assert 0 <= np.rint(picture).min() <= np.rint(picture).max() <= 255


def test_flat_fields_are_flat_and_many_colours_are_saturated() -> None:
    corners = 0
    for seed in range(60):
        for picture in synthetic.flat(np.random.default_rng(seed), 3, 8):
            assert (picture == picture[0, 0]).all()
        shown = synthetic.colour(np.random.default_rng(seed))
        corners += set(shown) <= {0, 255}
    assert 10 < corners < 50


def test_some_of_each_moving_kind_moves_and_some_stands_still() -> None:
    for name in ("fields", "gradient", "drawing", "text", "screen"):
        kind, _ = synthetic._KINDS[name]
        moves = set()
        for seed in range(20):
            first, last = list(map(np.asarray, kind(np.random.default_rng(seed), 2, 48)))
            moves.add(not np.array_equal(first, last))
        assert True in moves, name
