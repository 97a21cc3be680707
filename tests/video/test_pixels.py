"""Arrays and tensors from Python: which layouts and numbers are understood, and what is said of others."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader
from sweettok_cli.video.images import WRITTEN
from sweettok_cli.video.pixels import as_frames, as_path, as_rate, as_video, write_video
from sweettok_cli.video.writer import VIDEO_ENDINGS

VIDEO = np.random.default_rng(4).integers(0, 256, (5, 8, 10, 3), dtype=np.uint8)


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor])
def test_layouts_and_numbers_mean_the_same_pixels(make: Any, kind: str, first: bool, still: bool) -> None:
    pixels = VIDEO[0] if still else VIDEO
    given = pixels if kind == "uint8" else (pixels / 255).astype(kind)
    given = np.moveaxis(given, -1, -3) if first else given
    assert np.array_equal(as_frames(make(np.ascontiguousarray(given))), pixels)


def test_narrow_tensors_gradients_and_pictures_are_understood() -> None:
    tensor = torch.as_tensor(VIDEO / 255).bfloat16().requires_grad_()
    assert np.abs(as_frames(tensor).astype(int) - VIDEO).max() <= 1
    assert np.array_equal(as_frames(Image.fromarray(VIDEO[0])), VIDEO[0])


def test_pixels_are_a_source_like_any_other() -> None:
    for pixels, image in ((VIDEO / 255, False), (VIDEO[0], True)):
        frames, info = as_video(pixels, 12.5)
        assert np.array_equal(frames, VIDEO[: len(frames)]) and info.frames == len(frames)
        assert (info.width, info.height, info.is_image) == (10, 8, image)
        assert (info.rate, info.time_base) == (1 if image else Fraction(25, 2), Fraction(2, 25))


def test_three_at_both_places_means_colours_last() -> None:
    video = np.zeros((2, 3, 4, 3), np.uint8)
    assert as_frames(video).shape == (2, 3, 4, 3)


def test_what_resizing_overshoots_is_cut_off() -> None:
    video = np.full((1, 2, 2, 3), 1.03, np.float32)
    video[0, 0] = -0.02
    assert as_frames(video).tolist() == [[[[0] * 3] * 2, [[255] * 3] * 2]]


@pytest.mark.parametrize(
    ("video", "error", "said"),
    [
        (np.zeros((8, 8), np.uint8), ValueError, r"an image .* or \[3, h, w\], not \[8, 8\]\."),
        (np.zeros((2, 8, 8, 4), np.uint8), ValueError, r"\[2, 8, 8, 4\] has no axis of three colours"),
        (np.zeros((3, 5, 8, 8), np.uint8), ValueError, r"has its colours first; give \[t, 3, h, w\]"),
        (np.zeros((2, 5, 8, 8, 3), np.uint8), ValueError, "is a batch; .* clips to encode_clips"),
        (np.zeros((0, 8, 8, 3), np.uint8), ValueError, r"\[0, 8, 8, 3\] holds no pixel"),
        (np.zeros((2, 8, 8, 3), np.int64), TypeError, "not int64; convert those of 0 to 255 to uint8"),
        (np.zeros((2, 8, 8, 3), bool), TypeError, "not bool"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.complex64), TypeError, "not complex64"),
        (2.0 * VIDEO, ValueError, r"Frame 0 of the video holds values from 2 to 504, .* go from 0 to 1"),
        (torch.full((3, 8, 8), -1.0), ValueError, "The image holds values from -1 to -1"),
        (np.stack([VIDEO / 255, np.full(VIDEO.shape, np.nan)])[:, 0], ValueError, "Frame 1 .* not finite"),
        (torch.full((1, 8, 8, 3), float("inf")), ValueError, r"not finite \(NaN or infinity\)"),
        ([VIDEO[0], VIDEO[1]], TypeError, "not a list of frames; join them with numpy.stack"),
        (None, TypeError, "not NoneType"),
        (b"clip.mp4", TypeError, "not bytes"),
    ],
)
def test_other_pixels_are_refused_in_one_sentence(video: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as refused:
        as_frames(video)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rate", [0, -25, float("nan"), float("inf"), 1e-9, "fast", None])
def test_a_rate_is_above_zero(rate: Any) -> None:
    with pytest.raises(ValueError, match="a number above 0, not"):
        as_rate(rate)
    assert as_rate(29.97) == Fraction(2997, 100)


def test_addresses_are_not_read() -> None:
    with pytest.raises(SweettokError, match=r"^https://a\.b/c\.mp4 is an address, .*; fetch it"):
        as_path("https://a.b/c.mp4")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None], (4, 24, 32, 3))
    write_video(str(tmp_path / "a.mp4"), torch.from_numpy(smooth.copy()).movedim(-1, 1) / 255, 12.5, crf=0)
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert reader.info.rate == Fraction(25, 2)
        assert np.abs(np.stack([frame.rgb for frame in reader]).astype(int) - smooth).max() <= 3
    with pytest.raises(SweettokError, match="exists"):
        write_video(tmp_path / "a.mp4", smooth)
    for pixels, endings in ((VIDEO, VIDEO_ENDINGS), (VIDEO[0], WRITTEN)):
        with pytest.raises(SweettokError, match=r"a\.txt does not end in") as refused:
            write_video(tmp_path / "a.txt", pixels)
        assert set(endings) == set(re.findall(r"\.\w+(?=[,;])", str(refused.value).partition(" end in ")[2]))
    write_video(tmp_path / "a.png", VIDEO[0])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), VIDEO[0])
