"""The plot shows its curves where the numbers are."""

from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.inspect.plot import BORDER, COLOURS, HEIGHT, WIDTH, draw_scores


def columns_of(picture: np.ndarray, colour: tuple[int, int, int], rows: slice) -> np.ndarray:
    """Columns that show a colour within ``rows``, in pixels."""
    near = np.abs(picture[rows].astype(int) - colour).sum(axis=2) < 40
    return np.flatnonzero(near.any(axis=0))


def test_curves_span_the_axes_and_follow_the_values() -> None:
    rising = list(np.linspace(20, 30, 40))
    picture = np.asarray(draw_scores("clip.mp4", rising, [0.9 - value / 100 for value in rising], []))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    psnr_rows, ssim_rows = slice(84, 340), slice(405, 670)
    for colour, rows in zip(COLOURS, (psnr_rows, ssim_rows), strict=True):
        columns = columns_of(picture, colour, rows)
        assert columns.min() < 95 and columns.max() > 1160
    near = np.abs(picture[psnr_rows].astype(int) - COLOURS[0]).sum(axis=2) < 40
    heights = [np.flatnonzero(near[:, left : left + 40].any(axis=1)).mean() for left in (90, 600, 1130)]
    assert heights[0] > heights[1] > heights[2]  # rows count downwards


def test_borders_lie_between_the_frames_they_part() -> None:
    flat = [25.0] * 35
    bare = np.asarray(draw_scores("clip.mp4", flat, [0.8] * 35, []))
    marked = np.asarray(draw_scores("clip.mp4", flat, [0.8] * 35, [17]))
    changed = np.flatnonzero((bare[90:330] != marked[90:330]).any(axis=(0, 2)))
    assert changed.mean() == pytest.approx(84 + (1172 - 84) * 16.5 / 34, abs=2)
    assert len(columns_of(marked, BORDER, slice(90, 330))) > len(columns_of(bare, BORDER, slice(90, 330)))


@pytest.mark.parametrize("frames", [1, 2, 5000])
def test_any_length_and_flat_values_can_be_drawn(frames: int) -> None:
    picture = draw_scores("x" * 300, [100.0] * frames, [1.0] * frames, list(range(17, frames, 17)))
    assert picture.size == (WIDTH, HEIGHT)
