"""Numbered pictures as the frames of a video, in and out."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import write_image
from sweettok_cli.video.inputs import open_video
from sweettok_cli.video.sequence import FrameSequence, is_pattern, numbered, sequence_writer


def frame(grey: int) -> np.ndarray:
    return np.full((8, 12, 3), grey, np.uint8)


def shots(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for grey, name in enumerate(names, 1):
        write_image(folder / name, frame(grey))
    return folder


def greys(sequence: FrameSequence) -> list[int]:
    return [int(each.rgb[0, 0, 0]) for each in sequence]


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = shots(tmp_path / "in", "f10.png", "f2.png", "f1.png")
    (folder / "notes.txt").touch()
    (folder / ".f3.png").touch()
    sequence = FrameSequence.of(folder, Fraction(12))
    assert greys(sequence) == [3, 2, 1]
    assert [each.time for each in sequence] == [0, Fraction(1, 12), Fraction(2, 12)]
    info = sequence.info
    assert (info.width, info.height, info.frames, info.rate) == (12, 8, 3, 12)
    assert (info.duration, info.is_image, info.path) == (Fraction(1, 4), False, folder)
    assert FrameSequence.of(folder).rate == 25


def test_a_pattern_takes_what_it_would_write(tmp_path: Path) -> None:
    folder = shots(tmp_path, "a_0001.png", "a_0002.png", "a_3.png", "b_0001.png", "a_0001.jpg", "a_12345.png")
    assert greys(FrameSequence.of(folder / "a_%04d.png")) == [1, 2, 6]
    assert greys(FrameSequence.of(folder / "a_%d.png")) == [3, 6]
    with pytest.raises(SweettokError, match=r"no pictures .*c_%04d\.png"):
        FrameSequence.of(folder / "c_%04d.png")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_%04d.png", True),
        ("%d.JPG", True),
        ("a%d_%d.png", False),
        ("a_%04d.mp4", False),
        ("100% a.png", False),
        ("%4d.png", False),
    ],
)
def test_what_a_pattern_is(name: str, expected: bool) -> None:
    assert is_pattern(Path(name)) is expected
    assert not expected or not is_pattern(numbered(Path(name), 7))


@pytest.mark.parametrize("more", ["b2.png", "a2.jpg", "cover.png", "a01.png"])
def test_a_folder_of_several_videos_is_refused(tmp_path: Path, more: str) -> None:
    folder = shots(tmp_path / "in", "a1.png", more)
    with pytest.raises(SweettokError, match="no frames of one video"):
        FrameSequence.of(folder)


def test_missing_numbers_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = shots(tmp_path / "in", "a1.png", "a2.png", "a4.png")
    with caplog.at_level(logging.WARNING):
        assert greys(FrameSequence.of(folder)) == [1, 2, 3]
    assert "1 numbers are missing, the first after a2.png" in caplog.text
    with pytest.raises(SweettokError, match="leave out strict=True"):
        open_video(FrameSequence.of(folder), strict=True)
    caplog.clear()
    FrameSequence.of(shots(tmp_path / "every second", "a1.png", "a3.png", "a5.png"))
    assert not caplog.text


def test_frames_of_another_size_end_it(tmp_path: Path) -> None:
    folder = shots(tmp_path / "in", "1.png")
    write_image(folder / "2.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(SweettokError, match=r"2\.png is 4x4"):
        list(FrameSequence.of(folder))
    (tmp_path / "none").mkdir()
    with pytest.raises(SweettokError, match="holds no pictures"):
        FrameSequence.of(tmp_path / "none")


def written(pattern: Path, greys: list[int], **options: bool) -> None:
    with sequence_writer(pattern, len(greys), **options) as write:
        for grey in greys:
            write(frame(grey))


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    written(tmp_path / "new" / "f_%03d.png", [5, 6, 7])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "f_001.png",
        "f_002.png",
        "f_003.png",
    ]
    assert greys(FrameSequence.of(tmp_path / "new")) == [5, 6, 7]
    with pytest.raises(SweettokError, match=r"f_00\d\.png exists"):
        written(tmp_path / "new" / "f_%03d.png", [1, 2, 3, 4])
    written(tmp_path / "new" / "f_%03d.png", [1, 2, 3, 4], force=True)
    assert greys(FrameSequence.of(tmp_path / "new")) == [1, 2, 3, 4]
    with pytest.raises(SweettokError, match=r"f_004\.png is none of the 3 frames"):
        written(tmp_path / "new" / "f_%03d.png", [1, 2, 3], force=True)


def test_nothing_is_left_of_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(KeyboardInterrupt), sequence_writer(tmp_path / "new" / "%d.png", 2) as write:
        write(frame(1))
        raise KeyboardInterrupt
    with (
        pytest.raises(ValueError, match="1 frames instead of 2"),
        sequence_writer(tmp_path / "%d.png", 2) as write,
    ):
        write(frame(1))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="exists"), sequence_writer(tmp_path / "%d.png", 2) as write:
        write(frame(1))
        write(frame(2))
        (tmp_path / "2.png").write_bytes(b"of another")
    assert [path.name for path in tmp_path.iterdir()] == ["2.png"]
    assert (tmp_path / "2.png").read_bytes() == b"of another"
