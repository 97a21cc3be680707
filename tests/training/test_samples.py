"""Validation figure and sample grid on reconstructions that are known."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweettok_cli.data.clips import find_entries
from sweettok_cli.training.samples import (
    VALIDATION_SIDE,
    SampleSheet,
    centre_clip,
    mean_psnr,
    shown_rate,
    validation_psnr,
)
from sweettok_cli.video import VideoReader
from sweettok_cli.video.reader import read_clip
from sweettok_cli.video.side_by_side import SideBySide


@pytest.mark.parametrize(("multiple", "padded"), [(64, (128, 128)), (24, (96, 96)), (256, (256, 256))])
def test_figure_is_the_mean_over_frames_and_clips_without_padding(
    clips: Path, multiple: int, padded: tuple[int, int]
) -> None:
    looked_at = [centre_clip(entry, 17, VALIDATION_SIDE) for entry in find_entries([clips / "inner"])]
    shapes = []

    def off_by_five(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch.shape)
        made = batch.astype(np.int16)
        made += np.where(made > 127, -5, 5).astype(np.int16)
        made[:, :, 80:] = 0  # only padding lies there: the clips are 96x80
        return made.astype(np.uint8)

    figures = validation_psnr(looked_at, multiple, off_by_five)
    assert figures == pytest.approx(3 * [20 * np.log10(255 / 5)], abs=1e-6)
    assert shapes == [(1, 17, *padded, 3)] * 3


def test_centre_is_cut_and_short_clips_filled(clips: Path) -> None:
    short = next(e for e in find_entries([clips / "shard.tar"]) if e.name == "packed2.mp4")
    whole = read_clip(short.source(), 0, 9)
    cut = centre_clip(short, 17, 64)
    assert cut.shape == (17, 64, 64, 3)
    assert np.array_equal(cut[:9], whole[:, 8:72, 16:80]) and np.array_equal(cut[16], cut[8])


def off_by(off: int, batch: np.ndarray) -> np.ndarray:
    """A reconstruction whose every value is as wrong."""
    return np.where(batch > 127, batch - off, batch + off).astype(np.uint8)


def test_sheet_shows_source_result_and_difference_and_says_step_and_decibels(
    clips: Path, tmp_path: Path
) -> None:
    shown = {e.name: centre_clip(e, 17, 64) for e in find_entries([clips / "inner"])[:2]}
    sheet = SampleSheet(shown, 64)
    path = tmp_path / "samples" / "1"

    def drawn(step: int, off: int) -> np.ndarray:
        files = sheet.draw(partial(off_by, off), path, step)
        assert files == [path.with_suffix(".png")] == [*path.parent.iterdir()]
        with Image.open(files[0]) as picture:
            return np.asarray(picture)

    pixels = drawn(1, 5)
    assert pixels.shape == (18 + 2 * (18 + 64), 9 * 64, 3)
    for row, clip in enumerate(shown.values()):
        for i, t in enumerate((0, 8, 16)):
            top = 36 + row * 82
            tile = pixels[top : top + 64, i * 192 : i * 192 + 192].astype(int)
            assert np.array_equal(tile[:, :64], clip[t])
            assert np.array_equal(tile[:, 64:128], off_by(5, clip[t]))
            assert np.array_equal(tile[:, 128:], np.where(clip[t] > 127, 128 - 4 * 5, 128 + 4 * 5))
    titles, captions = pixels[:18], pixels[18:36]
    assert titles.max() > 100 and captions.max() > 100, "there is something to read"
    assert np.array_equal(drawn(1, 5), pixels)
    assert not np.array_equal(drawn(2000, 5)[:18], titles)
    assert not np.array_equal(drawn(1, 40)[18:36], captions)


def test_a_sheet_of_small_pictures_has_room_for_its_title(clips: Path, tmp_path: Path) -> None:
    shown = {e.name: centre_clip(e, 1, 64) for e in find_entries([clips / "inner"])[:1]}
    drawn = []
    for step in (1, 12345678):
        (file,) = SampleSheet(shown, 64).draw(partial(off_by, 5), tmp_path / "1", step)
        with Image.open(file) as picture:
            drawn.append(np.asarray(picture))
    short, long = drawn
    assert long.shape[1] > short.shape[1] > 3 * 64
    for pixels in drawn:
        assert not pixels[:18, -4:].any() and pixels[:18, -16:].any(), "the title ends there"
        assert not pixels[36:, 3 * 64 :].any() and np.array_equal(
            pixels[36:, :64], shown[next(iter(shown))][0]
        )


def test_clips_that_move_are_shown_moving_each_at_its_rate(clips: Path, tmp_path: Path) -> None:
    first, second, still = find_entries([clips / "inner"])
    shown = {e.name: centre_clip(e, 5, 64) for e in (first, still, second)}
    assert shown_rate(first) == 25
    rates = {first.name: Fraction(25), second.name: Fraction(25)}
    for slow, times in (
        (25, [i / 25 for i in range(10)]),
        (5, [*(i / 25 for i in range(5)), *(0.2 + i / 5 for i in range(5))]),
    ):
        rates[second.name] = Fraction(slow)
        sheet, film = SampleSheet(shown, 64, rates).draw(partial(off_by, 20), tmp_path / "7", 7)
        assert (sheet.name, film.name) == ("7.png", "7.mp4")
        with VideoReader(film) as reader:
            frames = list(reader)
        assert [float(frame.time) for frame in frames] == pytest.approx(times, abs=1e-4)
    drawer = SideBySide(64, 64)
    for number, frame in enumerate(frames):
        clip = shown[(first, second)[number // 5].name][number % 5]
        expected = drawer.draw(clip, off_by(20, clip))
        below = slice(drawer.header, None)
        assert abs(frame.rgb[below].astype(int) - expected[below]).mean() < 8
    assert SampleSheet({first.name: shown[first.name][:1]}, 64, rates).rates == {}, "one frame moves nowhere"


def test_mean_of_frames_is_in_decibels() -> None:
    source = np.full((2, 4, 4, 3), 100, np.uint8)
    made = source.copy()
    made[0] += 5
    made[1] += 10
    assert mean_psnr(source, made) == pytest.approx((20 * np.log10(51) + 20 * np.log10(25.5)) / 2)
