"""The three panels hold what they say, at every size."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.video.side_by_side import BACKGROUND, SideBySide, difference


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_panels_hold_the_frames_unchanged() -> None:
    source, reconstruction = noise(255, 301, 0), noise(255, 301, 1)
    drawer = SideBySide(301, 255, gain=3)
    picture = drawer.draw(source, reconstruction, "20.00 dB")
    assert picture.shape == (drawer.height, drawer.width, 3)
    assert picture.dtype == np.uint8
    expected = source, reconstruction, difference(source, reconstruction, 3)
    for number, frame in enumerate(expected):
        left = drawer.gap + number * (301 + drawer.gap)
        assert np.array_equal(picture[drawer.header : drawer.header + 255, left : left + 301], frame)


def test_difference_is_grey_where_frames_agree_and_signed_elsewhere() -> None:
    source = np.full((2, 2, 3), 100, np.uint8)
    reconstruction = np.array([[[100] * 3, [110] * 3], [[90] * 3, [0] * 3]], np.uint8)
    assert difference(source, reconstruction, 4)[..., 0].tolist() == [[128, 168], [88, 0]]


def test_labels_are_drawn_above_the_panels() -> None:
    drawer = SideBySide(256, 256)
    black = np.zeros((256, 256, 3), np.uint8)
    plain, noted = drawer.draw(black, black), drawer.draw(black, black, "31.00 dB")
    strip = slice(0, drawer.header)
    written = np.abs(plain[strip].astype(int) - BACKGROUND).sum(axis=(0, 2))  # by column
    for number in range(3):
        left = drawer.gap + number * (256 + drawer.gap)
        assert written[left : left + 128].sum() > 0
    middle = slice(drawer.gap * 2 + 256, drawer.gap * 2 + 512)
    assert not np.array_equal(plain[strip, middle], noted[strip, middle])


@pytest.mark.parametrize("width", [16, 224, 256, 454, 1280])
def test_labels_stand_apart(width: int) -> None:
    drawer = SideBySide(width, 64)
    black = np.zeros((64, width, 3), np.uint8)
    strip = drawer.draw(black, black, "31.87 dB")[: drawer.header].astype(int)
    written = np.flatnonzero(np.abs(strip - BACKGROUND).sum(axis=(0, 2)))
    for number in (1, 2):
        left = drawer.gap + number * (drawer.panel_width + drawer.gap)
        before = written[written < left - 1].max()
        assert left - before > 1.5 * drawer.font_size  # more than between two words of a label
    assert drawer.font_size <= left - drawer.panel_width < written.max()


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (16, 16), (2, 3000), (3000, 2), (1920, 1080), (455, 257)]
)
def test_every_size_gives_an_even_picture_that_players_accept(width: int, height: int) -> None:
    drawer = SideBySide(width, height)
    picture = drawer.draw(noise(height, width, 0), noise(height, width, 1), "9.00 dB")
    assert picture.shape == (drawer.height, drawer.width, 3)
    assert drawer.width % 2 == drawer.height % 2 == 0
    assert max(picture.shape) <= 4096


def test_small_frames_are_shown_in_larger_pixels() -> None:
    source = noise(24, 32, 0)
    drawer = SideBySide(32, 24)
    picture = drawer.draw(source, source)
    assert drawer.shown == (224, 168)
    shown = picture[drawer.header : drawer.header + 168, drawer.gap : drawer.gap + 224]
    assert np.array_equal(shown[::7, ::7], source)
