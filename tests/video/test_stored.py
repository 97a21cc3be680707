from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweettok_cli.video import VideoReader, probe
from sweettok_cli.video.decoding import Orientation
from sweettok_cli.video.stored import turn
from tests.video import torture

TAGS = {"PQ": "smpte2084", "HLG": "arib-std-b67"}


@pytest.mark.parametrize("curve", TAGS)
def test_high_dynamic_range_is_named(tmp_path: Path, curve: str) -> None:
    stored = probe(torture.high_dynamic_range(tmp_path / "a.mp4", TAGS[curve])).stored
    assert (stored.codec, stored.pixel_format, stored.color_range) == ("h264", "yuv420p10le", "limited")
    assert (stored.matrix, stored.transfer, stored.primaries) == ("bt2020nc", TAGS[curve], "bt2020")
    (flattened,) = stored.flattened
    assert f"({curve})" in flattened


def test_a_usual_video_loses_nothing_by_being_read(tmp_path: Path) -> None:
    stored = probe(torture.make(tmp_path / "a.mp4")).stored
    assert (stored.matrix, stored.transfer, stored.flattened) == (None, None, [])
    assert probe(torture.build(tmp_path, "vp9.webm")).stored.codec == "vp9"
    moving = torture.make(tmp_path / "a.mov", "qtrle", pixels="argb")
    assert probe(moving).stored.flattened == ["what is transparent is laid over white"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_turn_of_a_photo_is_how_it_is_shown(tmp_path: Path, orientation: int) -> None:
    picture = np.zeros((40, 64, 3), np.uint8)
    picture[:12, :20], picture[:12, 44:] = 255, 128
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    stored = probe(tmp_path / "a.png").stored
    expected = np.rot90(picture[:, ::-1] if stored.mirrored else picture, -stored.rotation // 90)
    with VideoReader(tmp_path / "a.png") as reader:
        (frame,) = reader
    assert np.array_equal(frame.rgb, expected)


def test_the_turn_of_a_video_is_how_it_is_shown() -> None:
    picture = np.arange(24).reshape(4, 6)[..., None].repeat(3, axis=2).astype(np.uint8)
    for ways in itertools.product((False, True), repeat=3):
        rotation, mirrored = turn(*ways)
        expected = np.rot90(picture[:, ::-1] if mirrored else picture, -rotation // 90)
        assert np.array_equal(Orientation(*ways).apply(picture), expected)
