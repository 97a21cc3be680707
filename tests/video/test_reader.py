from __future__ import annotations

import logging
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, probe, variable_times

from . import torture

CASES = sorted(set(torture.READABLE) - {"tiny.mkv"})


def read(path: Path) -> tuple[list[np.ndarray], list[Fraction]]:
    with VideoReader(path) as reader:
        frames = list(reader)
    return [frame.rgb for frame in frames], [frame.time for frame in frames]


@pytest.mark.parametrize("name", CASES)
def test_every_frame_in_order_at_its_time(tmp_path: Path, name: str) -> None:
    path = torture.build(tmp_path, name)
    info = probe(path)
    pictures, times = read(path)
    total = 1 if name.startswith("one.") else torture.FRAMES
    numbers = [number % 6 if name == "resized.h264" else number for number in range(total)]
    assert [torture.number(rgb) for rgb in pictures] == numbers
    assert {rgb.shape for rgb in pictures} == {(info.height, info.width, 3)}
    assert {rgb.dtype for rgb in pictures} == {np.dtype(np.uint8)}
    assert info.frames in (None, total)
    assert times[0] == 0 and all(a < b for a, b in pairwise(times))
    varying = variable_times(times, info.rate, info.time_base)
    assert (varying is not None) == name.startswith("variable") == bool(info.variable_rate)
    assert info.is_image == (name == "one.gif")


RATES = {"ntsc.mp4": Fraction(30000, 1001), "film.mkv": Fraction(24000, 1001), "plain.mp4": Fraction(25)}


@pytest.mark.parametrize("name", RATES)
def test_rate_is_exact(tmp_path: Path, name: str) -> None:
    assert probe(torture.build(tmp_path, name)).rate == RATES[name]


def test_smallest_picture(tmp_path: Path) -> None:
    pictures, _ = read(torture.build(tmp_path, "tiny.mkv"))
    assert len(pictures) == torture.FRAMES and pictures[0].shape == (2, 2, 3)


def test_variable_times_are_exact(tmp_path: Path) -> None:
    _, times = read(torture.build(tmp_path, "variable.mp4"))
    assert times == [Fraction(1001 * tick, 30000) for tick in torture.VFR]


def test_start_on_the_containers_clock(tmp_path: Path) -> None:
    info = probe(torture.build(tmp_path, "late.mkv"))
    assert info.start == Fraction(2, 5) and info.has_audio


def test_non_square_pixels_are_not_stretched(tmp_path: Path) -> None:
    info = probe(torture.build(tmp_path, "wide.mp4"))
    assert (info.width, info.height) == (64, 48)


# Display matrices a, b, c, d and what they do to the picture as stored.
TURNS = {
    "none": ((1, 0, 0, 1), lambda rgb: rgb),
    "quarter": ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),
    "half": ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2)),
    "back": ((0, -1, 1, 0), lambda rgb: np.rot90(rgb, 1)),
    "mirror": ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
    "transpose": ((0, 1, 1, 0), lambda rgb: rgb.swapaxes(0, 1)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_display_matrix_is_applied(tmp_path: Path, turn: str) -> None:
    matrix, expected = TURNS[turn]
    upright, _ = read(torture.make(tmp_path / "upright.mp4"))
    path = torture.turn(torture.make(tmp_path / "turned.mp4"), matrix)
    pictures, _ = read(path)
    info = probe(path)
    assert pictures[0].shape == (info.height, info.width, 3)
    assert all(np.array_equal(a, expected(b)) for a, b in zip(pictures, upright, strict=True))


def test_ten_bits_match_eight(tmp_path: Path) -> None:
    deep, _ = read(torture.make(tmp_path / "ten.mkv", "ffv1", pixels="yuv444p10le"))
    flat, _ = read(torture.make(tmp_path / "eight.mkv", "ffv1", pixels="yuv444p"))
    assert np.abs(np.stack(deep).astype(int) - np.stack(flat)).max() <= 2


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    with VideoReader(torture.build(tmp_path, "plain.mp4")) as reader:
        early = next(iter(reader)).rgb
        first = [frame.rgb for frame in reader]
        second = [frame.rgb for frame in reader]
    assert len(first) == torture.FRAMES and np.array_equal(early, first[0])
    assert np.array_equal(np.stack(first), np.stack(second))


def test_one_thread_gives_the_same(tmp_path: Path) -> None:
    path = torture.build(tmp_path, "plain.mp4")
    with VideoReader(path, threads=1) as reader:
        single = [frame.rgb for frame in reader]
    assert np.array_equal(np.stack(single), np.stack(read(path)[0]))


def _missing(path: Path) -> Path:
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _text(path: Path) -> Path:
    path.write_text("This is no video.\n" * 50)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _playlist(path: Path) -> Path:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nplain.mp4\n#EXT-X-ENDLIST\n")
    return path


def _no_index(path: Path) -> Path:
    return torture.cut_short(torture.make(path), 0.6)


BROKEN = {
    "missing.mp4": (_missing, "does not exist"),
    "empty.mp4": (_empty, "is empty"),
    "text.mp4": (_text, "cannot be read as a video"),
    "story.txt": (_text, "cannot be read as a video|is not a video"),
    "list.m3u8": (_playlist, "cannot be read as a video|is not a video"),
    "folder.mp4": (_folder, "is a folder"),
    "sound.m4a": (torture.audio_only, "holds sound but no pictures"),
    "noindex.mp4": (_no_index, "has no index of its frames|cannot be read as a video"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_video_ends_in_one_sentence(tmp_path: Path, name: str) -> None:
    make, words = BROKEN[name]
    path = make(tmp_path / name)
    for attempt in (probe, VideoReader):
        with pytest.raises(SweettokError, match=words) as caught:
            attempt(path)
        message = str(caught.value)
        assert str(path) in message and "\n" not in message and message.endswith(".") and ";" in message


def test_cover_picture_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="holds sound but no pictures"):
        probe(torture.song_with_cover(tmp_path / "song.mp3"))


def test_colon_in_a_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torture.make(tmp_path / "take.mp4").rename(tmp_path / "take:2.mp4")
    monkeypatch.chdir(tmp_path)
    assert probe("take:2.mp4").frames == torture.FRAMES


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = torture.build(tmp_path, "plain.mp4")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SweettokError, match="may not be read; change its permissions"):
        probe(path)


CUT = {
    "front.mp4": lambda p: torture.make(p, frames=60, container={"movflags": "+faststart"}),
    "cut.mkv": lambda p: torture.make(p, frames=60),
    "cut.avi": lambda p: torture.make(p, "mpeg4", frames=60, options=torture.SHARP),
    "cut.webm": lambda p: torture.make(p, "libvpx-vp9", frames=60, options={"cpu-used": "8"}),
}


@pytest.mark.parametrize("name", CUT)
def test_file_cut_short_says_how_much_is_left(tmp_path: Path, name: str) -> None:
    path = torture.cut_short(CUT[name](tmp_path / name), 0.7)
    count = 0
    with VideoReader(path) as reader, pytest.raises(SweettokError, match="cut short") as caught:
        for frame in reader:
            assert torture.number(frame.rgb) == count % 30
            count += 1
    assert 0 < count < 60
    assert f"only {count}" in str(caught.value) and str(path) in str(caught.value)


def test_bytes_missing_behind_the_last_frame_do_not_matter(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "tail.mp4", container={"movflags": "+faststart"})
    with open(path, "ab") as stream:
        stream.write((1000).to_bytes(4, "big") + b"free" + b"\0" * 10)
    assert len(read(path)[0]) == torture.FRAMES


def test_damage_in_the_middle_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clusters = {"cluster_time_limit": "200"}
    path = torture.make(tmp_path / "scratched.mkv", frames=60, options={"g": "5"}, container=clusters)
    torture.scribble(path, 0.5, 200)
    with caplog.at_level(logging.WARNING), VideoReader(path) as reader:
        pictures = [frame.rgb for frame in reader]
    assert 40 <= len(pictures) <= 60
    assert torture.number(pictures[0]) == 0 and torture.number(pictures[-1]) == 59 % 30
    assert reader.loss.packets == 0 or "damaged packets" in caplog.text


def test_frames_lost_to_damage_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = torture.scribble(torture.make(tmp_path / "scratched.mkv", frames=60), 0.5, 200)
    with caplog.at_level(logging.WARNING):
        pictures, _ = read(path)
    assert 0 < len(pictures) < 50
    assert "of 2.4 seconds could be read" in caplog.text


def test_a_change_of_size_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read(torture.build(tmp_path, "resized.h264"))
    [told] = [record.getMessage() for record in caplog.records if "scaled" in record.getMessage()]
    assert "resized.h264: from " in told and told.endswith("split it there")
