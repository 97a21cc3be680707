"""PSNR against its closed form and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sweettok_cli.evaluation.psnr import CEILING, psnr


def test_constant_error_has_the_closed_form() -> None:
    grey = np.full((20, 30, 3), 100, np.uint8)
    for step in (1, 7, 155):
        assert psnr(grey, grey + np.uint8(step)) == pytest.approx(20 * math.log10(255 / step), abs=1e-9)


def test_error_is_averaged_over_pixels_and_channels_together() -> None:
    first = np.zeros((4, 5, 3), np.uint8)
    second = first.copy()
    second[2, 3, 1] = 255
    assert psnr(first, second) == pytest.approx(10 * math.log10(4 * 5 * 3), abs=1e-9)


def test_differences_do_not_wrap_around() -> None:
    black, white = np.zeros((3, 3, 3), np.uint8), np.full((3, 3, 3), 255, np.uint8)
    assert psnr(black, white) == psnr(white, black) == pytest.approx(0.0, abs=1e-12)


def test_identical_and_almost_identical_frames_get_the_ceiling() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    almost = frame.copy()
    almost[0, 0, 0] ^= 1  # 106 dB
    assert psnr(frame, frame) == psnr(frame, almost) == CEILING == 100.0


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((4, 5, 3), np.uint8), ((4, 4, 3), np.float32), ((4, 4), np.uint8), ((4, 4, 4), np.uint8)],
)
def test_anything_but_a_pair_of_rgb_frames_is_refused(shape: tuple[int, ...], kind: type) -> None:
    with pytest.raises(ValueError, match="frames must be"):
        psnr(np.zeros((4, 4, 3), np.uint8), np.zeros(shape, kind))
