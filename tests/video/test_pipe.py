"""Videos that come through a pipe: frames as they come, and no silence about an end in the middle."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, write_image
from sweettok_cli.video.pipe import Pipe, PipeReader
from sweettok_cli.video.reader import Frame
from sweettok_cli.video.selection import Selection
from sweettok_cli.video.wholeness import Wholeness

from . import torture

MADE: dict[str, Callable[[Path], Path]] = {
    "a.mkv": lambda p: torture.make(p, frames=60),
    "live.mkv": lambda p: torture.make(p, frames=60, container={"live": "1"}),
    "a.webm": lambda p: torture.make(p, "libvpx-vp9", frames=60, options={"cpu-used": "8"}),
    "a.ts": lambda p: torture.make(p, frames=60, options={"bf": "2"}),
    "a.flv": lambda p: torture.make(p, frames=60),
    "a.nut": lambda p: torture.make(p, "ffv1", frames=60),
    "a.y4m": lambda p: torture.make(p, "wrapped_avframe", frames=60),
    "first.mp4": lambda p: torture.make(p, frames=60, container={"movflags": "+faststart"}),
    "parts.mp4": lambda p: torture.make(p, frames=60, container={"movflags": "frag_keyframe+empty_moov"}),
    "a.h264": lambda p: torture.make(p, frames=60),
    "a.avi": lambda p: torture.make(p, "mpeg4", frames=60),
    "varies.mkv": lambda p: torture.make(p, pts=[t * 40 for t in torture.VFR], clock=Fraction(1, 1000)),
}
# Of these nothing tells but damage that the decoder meets; the last is too short to be cut.
UNTOLD = {"a.nut", "a.h264", "varies.mkv"}


def piped(data: bytes, **options: Any) -> list[Frame]:
    with PipeReader(Pipe(io.BytesIO(data), "stdin"), **options) as reader:
        return list(reader)


@pytest.mark.parametrize("name", MADE)
def test_the_frames_are_those_of_the_file(tmp_path: Path, name: str) -> None:
    path = MADE[name](tmp_path / name)
    data = path.read_bytes()
    with VideoReader(path) as reader:
        expected = list(reader)
    with PipeReader(Pipe(io.BytesIO(data), "stdin"), strict=True) as pipe:
        found = list(pipe)
    assert pipe.info.rate == reader.info.rate and (pipe.info.width, pipe.info.height) == (64, 48)
    assert [frame.time for frame in found] == [frame.time for frame in expected]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(found, expected, strict=True))
    assert all(a.came <= b.came for a, b in pairwise(found))


@pytest.mark.parametrize("name", sorted(set(MADE) - UNTOLD))
def test_an_end_in_the_middle_is_refused_or_taken(tmp_path: Path, name: str) -> None:
    data = MADE[name](tmp_path / name).read_bytes()
    cut = data[: int(len(data) * 0.7)]
    with pytest.raises(
        SweettokError, match=r"stdin is cut short: it ends in the middle, after .* keep_going=True"
    ):
        piped(cut)
    with PipeReader(Pipe(io.BytesIO(cut), "stdin"), keep_going=True) as reader:
        taken = list(reader)
    assert 5 < len(taken) < 60 and reader.loss.end == taken[-1].time + 1 / reader.info.rate
    with pytest.raises(SweettokError, match="is not whole"):
        piped(cut, keep_going=True, strict=True)


def test_a_part_of_what_comes(tmp_path: Path) -> None:
    path = MADE["a.mkv"](tmp_path / "a.mkv")
    found = piped(path.read_bytes(), selection=Selection(start="0.4", end=2, fps=5, short_side=24))
    assert [torture.number(frame.rgb) for frame in found] == [n % 30 for n in range(10, 50, 5)]
    assert found[0].rgb.shape == (24, 32, 3) and found[0].time == Fraction(2, 5)
    with pytest.raises(SweettokError, match=r"stdin ends after 2\.4 s, before start='3'"):
        piped(path.read_bytes(), selection=Selection(start=3))


def test_a_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", torture.picture(4))
    with PipeReader(Pipe(io.BytesIO((tmp_path / "a.png").read_bytes()), "stdin")) as reader:
        (frame,) = reader
    assert reader.info.is_image and np.array_equal(frame.rgb, torture.picture(4))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "stdin is empty; the program that writes into it has failed"),
        (b"not a video\n", "stdin cannot be read as a video"),
        (b"\0" * 100_000, "stdin cannot be read as a video"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n", "stdin"),
    ],
)
def test_what_is_no_video_is_one_sentence(data: bytes, why: str) -> None:
    with pytest.raises(SweettokError, match=why):
        piped(data)


def test_an_index_at_the_end_is_out_of_reach(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "a.mov", "prores_ks", frames=60, pixels="yuv422p10le")
    with pytest.raises(SweettokError, match=r"index is at its end, .* \+faststart"):
        piped(path.read_bytes())


@pytest.fixture
def ends() -> Iterator[tuple[Pipe, int]]:
    """A pipe of the system, and where to write into it."""
    taken, given = os.pipe()
    with open(taken, "rb", buffering=0) as stream:
        yield Pipe(stream, "stdin"), given


def test_frames_come_before_the_pipe_ends(tmp_path: Path, ends: tuple[Pipe, int]) -> None:
    pipe, given = ends
    data = MADE["a.y4m"](tmp_path / "a.y4m").read_bytes()
    half, seen = len(data) // 2, threading.Event()

    def write() -> None:
        os.write(given, data[:half])
        assert seen.wait(60)
        os.write(given, data[half:])
        os.close(given)

    writer = threading.Thread(target=write)
    writer.start()
    numbers = []
    with PipeReader(pipe) as reader:
        for frame in reader:
            numbers.append(torture.number(frame.rgb))
            if len(numbers) == 27:  # of the 30 that were written
                seen.set()
    writer.join()
    assert numbers == [number % 30 for number in range(60)]


def test_waiting_can_be_stopped(ends: tuple[Pipe, int]) -> None:
    pipe, given = ends
    os.write(given, b"YUV")
    assert pipe.read(100) == b"YUV"
    threading.Timer(0.1, pipe.stop).start()
    assert pipe.read(100) == b""
    os.close(given)


@pytest.mark.parametrize("step", [1, 7, 4096])
@pytest.mark.parametrize("name", ["a.mkv", "live.mkv", "parts.mp4", "a.flv", "a.ts"])
def test_any_cut_shows_however_the_bytes_come(tmp_path: Path, name: str, step: int) -> None:
    data = MADE[name](tmp_path / name).read_bytes()

    def is_cut(end: int) -> bool:
        bytes_ = Wholeness()
        for start in range(0, end, step):
            bytes_.feed(data[start : min(start + step, end)])
        return bytes_.is_cut()

    assert not is_cut(len(data))
    assert all(is_cut(len(data) - missing) for missing in (1, 2, 5))
