"""Pictures and videos put one behind the other in one file, and clocks that jump where they meet."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from sweettok_cli.video import VideoReader, probe, read_clip
from sweettok_cli.video.decoding import Clock
from tests.video import torture
from tests.video.torture import joined, read


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PPM", "BMP", "WEBP", "QOI"])
@pytest.mark.parametrize("name", ["many", "many.jpg"])
def test_pictures_joined_in_one_file_are_a_video(tmp_path: Path, kind: str, name: str) -> None:
    path = joined(tmp_path / name, kind, **({"lossless": True} if kind == "WEBP" else {}))
    info = probe(path)
    assert not info.is_image and info.rate == 25
    frames, times = read(path)
    assert [torture.number(rgb) for rgb in frames] == list(range(6))
    assert times == [Fraction(index, 25) for index in range(6)]
    assert torture.number(read_clip(io.BytesIO(path.read_bytes()), 3, 1)[0]) == 3


@pytest.mark.parametrize(
    ("head", "size"),
    [
        *((b"P1\n60 40\n", 2400), (b"P2\n60 40\n255\n", 2400), (b"P3\n60 40\n255\n", 7200)),
        *((b"P4\n60 40\n", 320), (b"P5\n60 40\n255\n", 2400), (b"P6\n#x\n60 40\n999\n", 14400)),
    ],
)
def test_every_kind_of_netpbm_may_be_joined(tmp_path: Path, head: bytes, size: int) -> None:
    picture = head + (b"1 " * size if head[1:2] in b"123" else bytes(size))
    (tmp_path / "one").write_bytes(picture)
    (tmp_path / "three").write_bytes(picture * 3)
    assert probe(tmp_path / "one").is_image
    assert not probe(tmp_path / "three").is_image and len(read(tmp_path / "three")[0]) == 3


def test_motion_jpeg_may_lie_apart(tmp_path: Path) -> None:
    path = joined(tmp_path / "a.mjpg", "JPEG", count=1)
    assert probe(path).is_image
    path.write_bytes((path.read_bytes() + bytes(50)) * 4)
    assert len(read(path)[0]) == 4


def test_the_second_picture_of_a_phones_jpeg_is_no_frame(tmp_path: Path) -> None:
    first, second = Image.fromarray(torture.picture(0)), Image.fromarray(torture.picture(1))
    first.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[second])
    assert probe(tmp_path / "phone.jpg").is_image


def test_thumbnails_in_the_head_of_a_photo_are_no_frames(tmp_path: Path) -> None:
    photo, small = io.BytesIO(), io.BytesIO()
    Image.fromarray(torture.picture(6)).save(photo, "JPEG", quality=95)
    Image.fromarray(torture.picture(2, 16, 16)).save(small, "JPEG")
    inside = b"Exif\0\0" + small.getvalue() * 2
    marker = b"\xff\xe1" + (2 + len(inside)).to_bytes(2, "big") + inside
    (tmp_path / "a.jpg").write_bytes(photo.getvalue()[:2] + marker + photo.getvalue()[2:])
    assert probe(tmp_path / "a.jpg").is_image
    assert [torture.number(rgb) for rgb in read(tmp_path / "a.jpg")[0]] == [6]


@pytest.mark.parametrize("jump", [3600, -7200, 20])
def test_a_broadcast_whose_clock_jumps_is_joined(tmp_path: Path, jump: int) -> None:
    starts = (10_000, 10_000 + jump)
    parts = [
        torture.make(tmp_path / f"{start}.ts", frames=20, container={"output_ts_offset": str(start)})
        for start in starts
    ]
    path = tmp_path / "cut.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, times = read(path)
    assert [torture.number(rgb) for rgb in frames] == [*range(20), *range(20)]
    assert all(abs(time - Fraction(index, 25)) < Fraction(1, 100) for index, time in enumerate(times))
    assert abs(jump) < 1000 or probe(path).duration is None


LEFT = {("mkv", 3), ("webm", 3)}  # libav reads two
CODECS = {"ts": "libx264", "mpg": "mpeg2video", "flv": "libx264", "mkv": "libx264", "webm": "libvpx"}


@pytest.mark.parametrize(
    ("ending", "parts"),
    [(ending, parts) for ending in CODECS for parts in (2, 3) if (ending, parts) not in LEFT],
)
def test_parts_that_start_anew_keep_their_rate(tmp_path: Path, ending: str, parts: int) -> None:
    """As ``cat part.ts part.ts`` makes them: the clock goes back by less than ten seconds."""
    part = torture.make(tmp_path / f"part.{ending}", CODECS[ending], frames=30).read_bytes()
    path = tmp_path / f"joined.{ending}"
    # libav takes the head of an FLV for a frame of some megabytes, over which it jumps.
    path.write_bytes(part + part[13 if ending == "flv" else 0 :] * (parts - 1))
    with VideoReader(path, strict=True) as reader:
        times = [frame.time for frame in reader]
    assert (reader.info.rate, len(times)) == (25, 30 * parts)
    assert all(abs(time - Fraction(index, 25)) < Fraction(1, 100) for index, time in enumerate(times))


@pytest.mark.parametrize(
    ("ending", "codec", "read"),
    [("mp4", "libx264", 1), ("flv", "flv1", 1), ("wmv", "wmv2", 1), ("mkv", "libx264", 2)],
)
def test_a_joined_video_that_is_not_read_is_told(tmp_path: Path, ending: str, codec: str, read: int) -> None:
    part = torture.make(tmp_path / f"part.{ending}", codec, frames=30).read_bytes()
    (tmp_path / f"joined.{ending}").write_bytes(part * (read + 1))
    with VideoReader(tmp_path / f"joined.{ending}") as reader:
        assert len(list(reader)) == 30 * read
    assert reader.loss.words == f"another video begins at byte {len(part) * read}, which is not read"
    assert reader.loss.end == Fraction(30 * read, 25)


def test_times_out_of_order_are_no_join(tmp_path: Path) -> None:
    """As programs that mistake times of decoding for those of showing leave them."""
    with av.open(str(torture.make(tmp_path / "a.mkv"))) as container:
        clock = Clock(Fraction(25), container)
    times = []
    for tick in (0, 2, 1, 3, 6, 4, 5, 7, 8):
        frame = av.VideoFrame(16, 16)
        frame.pts, frame.time_base = tick, Fraction(1, 25)
        times.append(clock.time(frame))
    assert times[-1] == Fraction(10, 25) and clock.joins == 0


def test_a_clock_that_was_set_anew_is_no_pause_of_years(tmp_path: Path) -> None:
    with av.open(str(torture.make(tmp_path / "a.mkv"))) as container:
        clock = Clock(Fraction(25), container)
    times = []
    for tick in (0, 1, 2, 10**11, 10**11 + 1, -(10**11), 1 - 10**11):
        frame = av.VideoFrame(16, 16)
        frame.pts, frame.time_base = tick, Fraction(1, 25)
        times.append(clock.time(frame))
    assert times == [Fraction(index, 25) for index in range(7)]


def test_a_long_pause_elsewhere_is_a_pause(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "pause.mkv", pts=[0, 40, 7_200_000, 7_200_040], clock=Fraction(1, 1000))
    assert read(path)[1][2] == 7200
