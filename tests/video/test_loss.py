"""Files of which a part is missing: said where and how much, and told from pauses."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, probe
from sweettok_cli.video.structure import check_structure
from tests.video import torture

VP9 = {"cpu-used": "8", "deadline": "realtime", "g": "25"}
MADE: dict[str, dict[str, Any]] = {
    "h264.mkv": {"options": {"g": "25"}, "container": {"cluster_time_limit": "1000"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": VP9, "container": {"cluster_time_limit": "1000"}},
    "live.webm": {"codec": "libvpx-vp9", "options": VP9, "container": {"live": "1"}},
    "h264.ts": {"options": {"g": "25"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"g": "12"}},
    "h264.flv": {"options": {"g": "25"}},
}


def make(path: Path, **changes: Any) -> Path:
    given = {"frames": 150, **MADE[path.name], **changes}
    # Matroska's identifiers would be drawn anew, and with them what damage makes of a file.
    given["container"] = {"fflags": "+bitexact", **given.get("container", {})}
    return torture.make(path, **given)


def damage(path: Path, how: str) -> Path:
    """Spoil a fifth of the file, in its middle."""
    data = bytearray(path.read_bytes())
    start, end = int(len(data) * 0.4), int(len(data) * 0.6)
    if how == "removed":
        del data[start:end]
    else:
        data[start:end] = (
            bytes(end - start) if how == "zeros" else np.random.default_rng(1).bytes(end - start)
        )
    path.write_bytes(data)
    return path


def read(path: Path, **options: Any) -> tuple[list[int], VideoReader]:
    with VideoReader(path, **options) as reader:
        return [torture.number(frame.rgb) for frame in reader], reader


@pytest.mark.parametrize("how", ["zeros", "noise"])
@pytest.mark.parametrize("name", MADE)
def test_what_is_missing_in_the_middle_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, how: str
) -> None:
    path = damage(make(tmp_path / name), how)
    with caplog.at_level(logging.WARNING):
        frames, reader = read(path)
    loss = reader.loss
    assert 80 < len(frames) < 140
    assert abs(len(frames) + loss.frames - 150) <= 3
    assert 1.2 < loss.gaps[0].start < 3 and sum(gap.seconds for gap in loss.gaps) > Fraction(1, 2)
    assert f"no frames from {float(loss.gaps[0].start):.2f}" in caplog.text and name in caplog.text
    with pytest.raises(SweettokError, match=rf"{name} is not whole.*no frames from .*strict=True\."):
        read(path, strict=True)


def test_bytes_that_are_left_out_are_missed(tmp_path: Path) -> None:
    for name in ("live.webm", "h264.ts"):
        _, reader = read(damage(make(tmp_path / name), "removed"))
        assert reader.loss.gaps[0].seconds > 1 and reader.loss.frames > 25


def test_a_fragmented_mp4_that_ends_in_nonsense(tmp_path: Path) -> None:
    fragmented = {"movflags": "frag_keyframe+empty_moov"}
    path = torture.make(tmp_path / "a.mp4", frames=100, options={"g": "10"}, container=fragmented)
    assert not read(path)[1].loss
    data = bytearray(path.read_bytes())
    at = data.index(b"moof", len(data) // 2) - 4
    data[at : at + 300] = b"\xff" * 300
    path.write_bytes(data)
    frames, reader = read(path)
    assert reader.loss.end == Fraction(len(frames), 25) and "nothing could be read after" in reader.loss.words


def test_whole_files_miss_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for name in MADE:
            frames, reader = read(make(tmp_path / name, frames=60), strict=True)
            assert len(frames) == 60 and not reader.loss
    assert not caplog.text


PAUSE = [*range(30), *range(80, 110)]
ON = {"sound": ("aac", Fraction(0))}
UNSTEADY = [35, 5, 15, 10, 5, 35, 5, 15, 5, 20] * 2
PAUSES: dict[str, tuple[str, list[int], dict[str, Any]]] = {
    "sound goes on": ("a.mkv", [t * 40 for t in PAUSE], ON),
    "stated frame by frame": ("a.mp4", [t * 40 for t in PAUSE], {}),
    "off the beat": ("a.mkv", [t * 40 + (15 if t > 30 else 0) for t in PAUSE], {}),
    "varying rate": ("a.webm", list(np.cumsum([*UNSTEADY, 3000, *UNSTEADY])), {}),
    "four frames": ("a.mkv", [0, 40, 7_200_000, 7_200_040], {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", PAUSES)
def test_pauses_are_no_losses(tmp_path: Path, kind: str) -> None:
    name, ticks, more = PAUSES[kind]
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    options = {"cpu-used": "8"} if name.endswith("webm") else {}
    path = torture.make(
        tmp_path / name, codec, pts=map(int, ticks), clock=Fraction(1, 1000), options=options, **more
    )
    frames, reader = read(path, strict=True)
    assert len(frames) == len(ticks) and not reader.loss


def test_a_steady_beat_that_stops_and_goes_on_is_a_loss(tmp_path: Path) -> None:
    ticks = [t * 40 for t in PAUSE]
    path = torture.make(tmp_path / "silent.mkv", pts=ticks, clock=Fraction(1, 1000))
    loss = read(path)[1].loss
    (gap,) = loss.gaps
    assert (gap.start, gap.seconds, loss.frames) == (Fraction(6, 5), 2, 50)


def test_damage_in_the_last_packets_does_not_depend_on_the_machine(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "a.mp4", frames=40, options={"g": "10", "bf": "2"})
    with av.open(str(path)) as container:
        *_, (place, size) = ((p.pos, p.size) for p in container.demux(video=0) if p.size)
    data = bytearray(path.read_bytes())
    data[place : place + size] = b"\xff" * size
    path.write_bytes(data)
    assert [len(read(path, threads=threads)[0]) for threads in (1, 3, 16)] == [39, 39, 39]


def _cut(name: str, path: Path) -> Path:
    """A file of a kind that states no length, ended inside of its last frame."""
    if name.endswith((".gif", ".mjpeg")):
        pictures = [Image.fromarray(torture.picture(index)) for index in range(6)]
        if name.endswith(".gif"):
            pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
        else:
            torture.make(path, "mjpeg", frames=6, pixels="yuvj420p", kind="mjpeg")
    elif name.endswith(".ogv"):
        torture.make(path, "libvpx", options={"cpu-used": "8"}, frames=60, kind="ogg")
    else:
        make(path, frames=60)
    path.write_bytes(path.read_bytes()[:-30])
    return path


@pytest.mark.parametrize("name", ["live.webm", "h264.ts", "a.gif", "a.mjpeg", "a.ogv", "h264.flv"])
def test_a_file_that_states_no_length_and_ends_inside_of_a_frame(tmp_path: Path, name: str) -> None:
    path = _cut(name, tmp_path / name)
    assert check_structure(path).cut
    frames, reader = read(path)
    assert frames and "ends in the middle of a frame" in reader.loss.words and reader.loss.end
    with pytest.raises(SweettokError, match="strict=True"):
        read(path, strict=True)


@pytest.mark.parametrize("name", ["a.mkv", "front.mp4", "fragmented.mp4", "a.avi"])
def test_what_is_left_of_a_cut_file_can_be_kept(tmp_path: Path, name: str) -> None:
    flags = {"front.mp4": "+faststart", "fragmented.mp4": "frag_keyframe+empty_moov"}
    container = {"movflags": flags[name]} if name in flags else {}
    path = torture.make(tmp_path / name, frames=60, options={"g": "10"}, container=container)
    torture.cut_short(path, 0.7)
    with pytest.raises(SweettokError, match=r"cut short.*keep_going=True"):
        read(path)
    one, reader = read(path, keep_going=True, threads=1)
    many, _ = read(path, keep_going=True, threads=16)
    assert 10 < len(one) < 60 and one == many
    assert one[:-1] == [index % 30 for index in range(len(one) - 1)]  # a part of the last one may be there
    assert reader.loss.end == Fraction(len(one), 25) and "bytes are missing" in reader.loss.words


@pytest.mark.parametrize("ending", ["mkv", "webm"])
@pytest.mark.parametrize("late", [2000, 3_600_000])
def test_a_clock_that_begins_late_is_no_loss(tmp_path: Path, ending: str, late: int) -> None:
    """As live recordings have it."""
    codec = "libx264" if ending == "mkv" else "libvpx-vp9"
    times = [late + 40 * index for index in range(20)]
    path = torture.make(tmp_path / f"a.{ending}", codec, pts=times, clock=Fraction(1, 1000))
    with VideoReader(path, strict=True) as reader:
        assert [frame.time for frame in reader] == [Fraction(index, 25) for index in range(20)]
    duration = probe(path).duration
    assert duration is not None and duration <= Fraction(81, 100)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("a.mkv", {"pts": [0, 1], "clock": Fraction(1, 1000)}),
        ("a.wmv", {"codec": "wmv2", "frames": 1}),
        ("a.flv", {}),  # its clock begins two frames late, and its length is the time of its end
        ("a.flv", {"rate": 5}),
    ],
)
def test_short_files_miss_nothing(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    assert read(torture.make(tmp_path / name, **changes), strict=True)[0]


@pytest.mark.parametrize(
    ("ending", "codec"), [("wmv", "wmv2"), ("nut", "mpeg4"), ("mkv", "libx264"), ("flv", "flv1")]
)
def test_pictures_that_begin_after_the_sound_miss_nothing(tmp_path: Path, ending: str, codec: str) -> None:
    voice = ("libmp3lame", Fraction(0))
    path = torture.make(tmp_path / f"a.{ending}", codec, pts=range(100, 125), sound=voice)
    assert len(read(path, strict=True)[0]) == 25
    duration = probe(path).duration
    assert duration is not None and abs(duration - 1) < Fraction(1, 10)


def test_what_another_stream_lasts_longer_is_not_missed(tmp_path: Path) -> None:
    shown = {Fraction(25): 25, Fraction(1, 4): 2}  # frames, by their rate
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        streams = [out.add_stream("mpeg4", rate=rate) for rate in shown]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for stream, (rate, frames) in zip(streams, shown.items(), strict=True):
            for index in range(frames):
                frame = av.VideoFrame(64, 48, "yuv420p")
                frame.pts, frame.time_base = index, 1 / rate
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    with VideoReader(tmp_path / "a.mkv", strict=True) as reader:
        assert len(list(reader)) == 25 and reader.info.duration == 8
