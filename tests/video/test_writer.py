from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, VideoWriter, probe, variable_times
from tests.full_disk import disk_of

from . import torture


def write(path: Path, total: int, rate: Fraction = Fraction(25), **options) -> Path:
    with VideoWriter(path, 64, 48, rate, **options) as writer:
        for index in range(total):
            writer.write(torture.picture(index))
    return path


@pytest.mark.parametrize("name", sorted(torture.READABLE))
def test_every_file_comes_out_as_it_went_in(tmp_path: Path, name: str) -> None:
    source = torture.build(tmp_path, name)
    info = probe(source)
    with VideoReader(source) as reader:
        frames = list(reader)
    times = variable_times([frame.time for frame in frames], info.rate, info.time_base)
    target = tmp_path / "out.mp4"
    with VideoWriter(target, info.width, info.height, info.rate, times=times, audio_from=source) as writer:
        for frame in frames:
            writer.write(frame.rgb)
    written = probe(target)
    assert (written.width, written.height, written.frames) == (info.width, info.height, len(frames))
    assert written.has_audio == info.has_audio
    with VideoReader(target) as reader:
        again = list(reader)
    assert len(again) == len(frames)
    if times is None:
        assert written.rate == info.rate
        with av.open(str(target)) as container:
            assert container.streams.video[0].average_rate == info.rate
        times = [index / info.rate for index in range(len(frames))]
    assert [frame.time for frame in again] == times
    if info.width > 2:
        expected = [torture.number(frame.rgb) for frame in frames]
        assert [torture.number(frame.rgb) for frame in again] == expected


@pytest.mark.parametrize("total", [1, 2, 3, 50])
@pytest.mark.parametrize("rate", ["10", "24000/1001", "30000/1001", "2997/100", "1/2", "120", "18000/1061"])
def test_average_rate_is_exact(tmp_path: Path, rate: str, total: int) -> None:
    path = write(tmp_path / "rate.mp4", total, Fraction(rate))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(rate)
        assert stream.frames == total
        assert stream.duration * stream.time_base == total / Fraction(rate)


@pytest.mark.parametrize(
    ("size", "pixels"), [((64, 48), "yuv420p"), ((63, 48), "yuv444p"), ((1, 1), "yuv444p")]
)
def test_size_is_exact(tmp_path: Path, size: tuple[int, int], pixels: str) -> None:
    path = tmp_path / "size.mp4"
    with VideoWriter(path, *size, 25) as writer:
        writer.write(np.full((size[1], size[0], 3), 90, np.uint8))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height) == size and context.pix_fmt == pixels
        assert context.name == "h264"


def test_times_are_kept(tmp_path: Path) -> None:
    times = [Fraction(t) for t in ("0", "1/3", "1/2", "2", "5/2")]
    path = write(tmp_path / "times.mp4", 5, Fraction(2), times=times)
    with VideoReader(path) as reader:
        assert [frame.time for frame in reader] == times
    assert probe(path).duration == 3


@pytest.mark.parametrize(
    "rate",
    [
        *("1/10000000", "1/100000", "100000", "2147483647", "123456789/1000", "1000000007/998244353"),
        *("2147483647/2147483646", "1/100000000"),
    ],
)
@pytest.mark.parametrize("varying", [False, True])
def test_every_rate_that_tokens_may_state_is_written(tmp_path: Path, rate: str, varying: bool) -> None:
    times = [number / Fraction(rate) for number in (0, 1, 2, 5)] if varying else None
    expected = times or [number / Fraction(rate) for number in range(4)]
    with VideoReader(write(tmp_path / "a.mp4", 4, Fraction(rate), times=times), threads=1) as reader:
        found = [frame.time for frame in reader]
    # A tick is a microsecond, or longer where MP4 could not count the pause.
    tick = max(Fraction(1, 1_000_000), max(expected) / (1 << 27))
    assert len(found) == len(expected)
    assert all(abs(a - b) <= 4 * tick for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("rate", ["1/1000000", "300000001/200000000", "1/26000"])
def test_pictures_that_move_are_written_at_any_rate(tmp_path: Path, rate: str) -> None:
    """Of these, H.264 would show some frames later than it decodes them, by more than MP4 can say."""
    squares = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    with VideoWriter(tmp_path / "a.mp4", 65, 63, Fraction(rate)) as writer:
        for number in range(18):
            writer.write(squares[number : number + 63, 2 * number : 2 * number + 65])
    with VideoReader(tmp_path / "a.mp4", threads=1) as reader:
        found = [frame.time for frame in reader]
    tick = max(Fraction(1, 1_000_000), 17 / Fraction(rate) / (1 << 27))
    assert len(found) == 18
    assert all(abs(time - number / Fraction(rate)) <= 4 * tick for number, time in enumerate(found))


def test_slides_keep_their_last_frame_under_a_higher_rate(tmp_path: Path) -> None:
    times = [Fraction(second) for second in (0, 1000, 2000, 3000)]
    with VideoReader(write(tmp_path / "a.mp4", 4, Fraction(25), times=times), threads=1) as reader:
        assert [frame.time for frame in reader] == times


def test_a_frame_alone_is_shown_as_long_as_its_rate_says(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "a.mp4", 1, Fraction(25), times=[Fraction(1, 3)]))
    assert (info.frames, info.duration) == (1, Fraction(1, 25))


def test_times_that_do_not_grow_or_run_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must grow"):
        VideoWriter(tmp_path / "a.mp4", 64, 48, 25, times=[Fraction(0), Fraction(0)])
    with pytest.raises(ValueError, match="times for 2 frames only"):
        write(tmp_path / "a.mp4", 3, times=[Fraction(0), Fraction(1)])
    assert not list(tmp_path.iterdir())


def test_index_comes_first(tmp_path: Path) -> None:
    data = write(tmp_path / "fast.mp4", 5).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_written_frames_are_near_the_given_ones(tmp_path: Path, examples: Path) -> None:
    source = examples / "intel-iot-devkit+sample-videos__001.mp4"
    with VideoReader(source) as reader:
        given = np.stack([frame.rgb for frame in reader])
    path = tmp_path / "near.mp4"
    with VideoWriter(path, given.shape[2], given.shape[1], 10) as writer:
        for rgb in given:
            writer.write(rgb)
    with VideoReader(path) as reader:
        read = np.stack([frame.rgb for frame in reader])
    mean_square = ((given.astype(float) - read) ** 2).mean()
    assert 10 * np.log10(255**2 / mean_square) > 42


def test_wrong_frames_are_refused(tmp_path: Path) -> None:
    wrong = np.zeros((48, 63, 3), np.uint8)
    with (
        pytest.raises(ValueError, match=r"expected uint8 \[48, 64, 3\]"),
        VideoWriter(tmp_path / "a.mp4", 64, 48, 25) as writer,
    ):
        writer.write(wrong)
    assert not list(tmp_path.iterdir())


def test_existing_file_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "old.mp4"
    path.write_bytes(b"old")
    with pytest.raises(SweettokError, match="pass force=True"):
        write(path, 1)
    assert path.read_bytes() == b"old"
    write(path, 1, force=True)
    assert probe(path).frames == 1


@pytest.mark.parametrize("name", ["a.avi", "a", "a.gif"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SweettokError, match=r"does not end in \.mp4, .*; name it so"):
        write(tmp_path / name, 1)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="does not exist"):
        write(tmp_path / "nowhere" / "a.mp4", 1)


def test_no_frames_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="there are no frames"):
        write(tmp_path / "none.mp4", 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "old.mp4"
    path.write_bytes(b"old")
    with pytest.raises(error), VideoWriter(path, 64, 48, 25, force=True) as writer:
        for index in range(80):
            writer.write(torture.picture(index))
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("limit", [0, 3_000, 30_000])
def test_full_disk(tmp_path: Path, limit: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    path = tmp_path / "full.mp4"
    with (
        disk_of(limit),
        pytest.raises(SweettokError, match=r"Cannot write .*full\.mp4"),
        VideoWriter(path, 64, 48, 25) as writer,
    ):
        for rgb in noise:
            writer.write(rgb)
    assert not list(tmp_path.iterdir())


_ENDLESS = """
import sys, numpy as np
from sweettok_cli.video import VideoWriter
with VideoWriter(sys.argv[1], 64, 48, 25, force=True) as writer:
    while True:
        writer.write(np.random.randint(0, 256, (48, 64, 3), np.uint8))
"""


def test_killed_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "old.mp4"
    path.write_bytes(b"old")
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)])
    give_up = time.monotonic() + 600
    while not any(p.stat().st_size > 9999 for p in tmp_path.glob(".old.*")):
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert path.read_bytes() == b"old"
    [left] = [p for p in tmp_path.iterdir() if p != path]
    assert left.name.startswith(".old.") and left.name.endswith(".part.mp4")


@pytest.mark.slow
def test_large_frames_do_not_pile_up_in_the_encoder(tmp_path: Path) -> None:
    script = """
import resource, sys
import numpy as np
from sweettok_cli.video import VideoWriter
rgb = np.random.default_rng(0).integers(0, 255, (135, 240, 3), np.uint8).repeat(16, 0).repeat(16, 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with VideoWriter(sys.argv[1], 3840, 2160, 30) as writer:
    for number in range(50):
        writer.write(np.roll(rgb, number, axis=1))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.mp4"], stdout=subprocess.PIPE, text=True
    )
    assert int(ran.stdout) < 1000  # MiB; 1600 where the encoder looks ahead by itself
