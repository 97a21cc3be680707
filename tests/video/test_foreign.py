"""What other programs write and ours does not."""

from __future__ import annotations

import itertools
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoWriter, probe, read_clip
from tests.video import torture
from tests.video.torture import joined, read


@pytest.mark.parametrize(("name", "kind"), [("a.heic", "HEIF"), ("a.avif", "AVIF")])
def test_photographs_with_exif_are_turned_pictures(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    picture = Image.fromarray(torture.picture(3, 96, 64))
    picture.save(tmp_path / name, kind, exif=exif, quality=95)
    info = probe(tmp_path / name)
    assert info.is_image and {info.width, info.height} == {64, 96}
    assert read(tmp_path / name)[0][0].shape == (info.height, info.width, 3)


def test_side_data_without_a_name_is_passed_over(tmp_path: Path) -> None:
    """JPEG frames with EXIF: PyAV has no name for it and raises ValueError over all side data."""
    exif = Image.Exif()
    exif[0x010F] = "maker"
    path = joined(tmp_path / "exif.mjpeg", "JPEG", exif=exif)
    assert [torture.number(rgb) for rgb in read(path)[0]] == list(range(6))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frames_with_a_cameras_orientation_are_turned_as_photographs_are(
    tmp_path: Path, orientation: int
) -> None:
    """The display matrix lies beside EXIF, which PyAV has no name for; half of them mirror."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", orientation
    video = joined(tmp_path / "a.mjpeg", "JPEG", exif=exif, quality=95, subsampling=0)
    Image.fromarray(torture.picture(0)).save(tmp_path / "a.png", exif=exif)
    (expected,), _ = read(tmp_path / "a.png")
    found = read(video)[0][0]
    assert found.shape == expected.shape and np.abs(found.astype(int) - expected).mean() < 8


def test_the_hidden_picture_of_an_animation_is_no_frame(tmp_path: Path) -> None:
    still, *moving = [Image.fromarray(torture.picture(index)) for index in range(4)]
    still.save(tmp_path / "a.png", save_all=True, append_images=moving, default_image=True, duration=40)
    frames, times = read(tmp_path / "a.png")
    assert [torture.number(rgb) for rgb in frames] == [1, 2, 3]
    assert times[1] == Fraction(40, 1000)


@pytest.mark.parametrize("hours", [3, 72, 24 * 40])
def test_pauses_of_hours_can_be_written(tmp_path: Path, hours: int) -> None:
    pause = Fraction(hours * 3600)
    times = [Fraction(0), Fraction(1, 90_000), pause, pause + Fraction(1, 30)]
    with VideoWriter(tmp_path / "a.mp4", 64, 48, Fraction(25), times=times) as writer:
        for index in range(4):
            writer.write(torture.picture(index))
    frames, found = read(tmp_path / "a.mp4")
    assert [torture.number(rgb) for rgb in frames] == [0, 1, 2, 3]
    assert abs(found[2] - pause) < 1 and 0 < found[1] < 1 and found[3] > found[2]


@pytest.mark.parametrize("most", [1.0, 255.0])
def test_floats_are_grey(tmp_path: Path, most: float) -> None:
    ramp = np.tile(np.linspace(0, most, 52, dtype=np.float32), (16, 1))
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif")[0][0][0, :, 0].tolist() == list(range(0, 256, 5))


def test_a_rate_told_by_milliseconds_is_a_usual_one(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "a.flv", "flv1", rate=Fraction(30000, 1001))
    assert probe(path).rate == Fraction(30000, 1001)


def test_a_tag_for_limited_range_counts_for_grey(tmp_path: Path) -> None:
    for bits, pixels in ((8, "gray"), (10, "gray10le")):
        values = np.array([16, 126, 235], np.uint16) << (bits - 8)
        plane = np.repeat(values, 32)[None].repeat(16, 0)
        frame = av.VideoFrame.from_ndarray(plane.astype(np.uint8 if bits == 8 else np.uint16), format=pixels)
        frame.color_range = 1
        from sweettok_cli.video.color import ToRgb

        rgb = ToRgb()(frame)
        assert rgb[0, ::32, 0].tolist() == [0, 128, 255]


def test_written_chroma_lies_where_it_is_said_to(tmp_path: Path) -> None:
    """An edge between two columns of one chroma sample: half a pixel off would shift a red stripe."""
    columns = np.arange(64)
    wave = np.rint(127.5 + 100 * np.sin(columns * 2 * np.pi / 16))
    rgb = np.stack([wave, np.full(64, 60.0), 255 - wave], axis=-1)[None].repeat(64, 0).astype(np.uint8)
    with VideoWriter(tmp_path / "a.mp4", 64, 64, Fraction(25), crf=0) as writer:
        writer.write(rgb)
    found = read(tmp_path / "a.mp4")[0][0].astype(float)
    errors = {
        shift: np.abs(np.roll(found, shift, axis=1)[8:-8, 8:-8] - rgb[8:-8, 8:-8]).mean()
        for shift in (-1, 0, 1)
    }
    assert errors[0] < 3
    # The centre of mass between the neighbours tells a shift of a fraction of a pixel.
    assert abs(errors[1] - errors[-1]) < 0.15 * (errors[1] + errors[-1]) / 2


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60), Fraction(120)])
@pytest.mark.parametrize(("codec", "kind"), [("libx264", "h264"), ("libx265", "hevc")])
def test_bare_streams_are_shown_as_fast_as_they_say(
    tmp_path: Path, codec: str, kind: str, rate: Fraction
) -> None:
    options = {"x265-params": "log-level=0"} if kind == "hevc" else {}
    path = torture.make(tmp_path / "a", codec, rate=rate, kind=kind, options=options)
    assert probe(path).rate == rate
    assert read(path)[1][-1] == (torture.FRAMES - 1) / rate


def test_a_rate_that_the_frames_do_not_keep_is_not_believed(tmp_path: Path) -> None:
    """Matroska that states one frame a millisecond."""
    ticks = [round(index * 1000 / 30) for index in range(30)]
    path = torture.make(tmp_path / "a.mkv", rate=1000, pts=ticks, clock=Fraction(1, 1000))
    assert probe(path).rate == 30
    uneven = [0, 100, 110, 400, 410, 420, 900, 1000]
    path = torture.make(tmp_path / "b.mkv", rate=1000, pts=uneven, clock=Fraction(1, 1000))
    assert abs(float(probe(path).rate) - 7) < 0.2


@pytest.mark.parametrize(
    ("name", "codec"), [("a.ts", "libx264"), ("a.mpg", "mpeg2video"), ("a.mkv", "libx264")]
)
def test_a_single_frame_is_not_taken_for_a_field(tmp_path: Path, name: str, codec: str) -> None:
    assert probe(torture.make(tmp_path / name, codec, frames=1)).rate == 25


def test_frames_of_one_stamp_lie_no_nearer_than_stamps_can(tmp_path: Path) -> None:
    source = torture.make(tmp_path / "a.mp4", "mpeg4", frames=40, options={"g": "1"})
    stamps = [17 * turn + tick for turn in range(5) for tick in (0, 4, 7, 8, 8, 10, 14, 14)]
    with av.open(str(source)) as given, av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        packets = (packet for packet in given.demux(video=0) if packet.size)
        for packet, stamp in zip(packets, stamps, strict=True):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = stamp
            out.mux(packet)
    assert probe(tmp_path / "a.mkv").rate <= 1000
    times = read(tmp_path / "a.mkv")[1]
    assert len(times) == 40 and min(b - a for a, b in itertools.pairwise(times)) >= Fraction(1, 1000)


def test_no_decoder_for_a_codec_is_one_sentence(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    for attempt in (lambda: probe(path), lambda: read_clip(path, 0, 1)):
        with pytest.raises(SweettokError, match=r"a\.mp4 .*no decoder"):
            attempt()


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_of_several_videos_one_that_can_be_decoded_is_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream(codec, rate=25) for codec in ("libx264", "mpeg4")]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(torture.picture(number), format="rgb24").reformat(
                format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for stream in streams:
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    known, unknown = {"mp4": (b"avc1", b"zzzz"), "mkv": (b"V_MPEG4/ISO/AVC", b"V_ZZZZ4/ISO/AVC")}[ending]
    path.write_bytes(path.read_bytes().replace(known, unknown))
    assert probe(path).stored.codec == "mpeg4"
    assert [torture.number(rgb) for rgb in read(path)[0]] == list(range(6))


def test_pictures_that_cannot_be_read_are_called_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')
    with pytest.raises(SweettokError, match=r"a\.png is a picture of kind SVG, .*save it as PNG\."):
        probe(tmp_path / "a.png")


def test_frame_delays_of_a_gif_are_those_of_browsers(tmp_path: Path) -> None:
    pictures = [Image.fromarray(torture.picture(index)) for index in range(5)]
    for delay, shown in ((0, 100), (10, 100), (20, 20), (50, 50)):
        path = tmp_path / f"{delay}.gif"
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=max(delay, 10))
        if not delay:
            path.write_bytes(path.read_bytes().replace(b"!\xf9\x04\x08\x01\x00", b"!\xf9\x04\x08\x00\x00"))
        times = read(path)[1]
        assert times[1] == Fraction(shown, 1000), delay
        assert probe(path).duration == Fraction(5 * shown, 1000), delay


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.bmp"])
def test_gigapixels_are_refused_before_they_are_allocated(tmp_path: Path, name: str) -> None:
    """A header of a few bytes may claim any size."""
    path = tmp_path / name
    if name.endswith("png"):
        Image.new("1", (8, 8)).save(path)
        data = bytearray(path.read_bytes())
        data[16:24] = struct.pack(">II", 60_000, 60_000)
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    elif name.endswith("gif"):
        Image.new("P", (8, 8)).save(path)
        data = bytearray(path.read_bytes())
        data[6:10] = struct.pack("<HH", 60_000, 60_000)
    else:
        Image.new("RGB", (8, 8)).save(path)
        data = bytearray(path.read_bytes())
        data[18:26] = struct.pack("<ii", 60_000, 60_000)
    path.write_bytes(data)
    with pytest.raises(SweettokError, match=r"too large a picture|million pixels|damaged"):
        read(path)


def test_another_limit_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = torture.make(tmp_path / "a.mp4")
    monkeypatch.setenv("SWEETTOK_MAX_PIXELS", "1000")
    with pytest.raises(SweettokError, match=r"a\.mp4 has frames of 64x48, more than 0 million pixels"):
        probe(path)


def test_streams_that_begin_later_are_passed_over(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "a.flv", "flv1", rate=1, frames=120)
    more = torture.make(tmp_path / "b.flv", "flv1", sound=("libmp3lame", Fraction(0)))
    path.write_bytes(path.read_bytes() + more.read_bytes()[13:])
    with av.open(str(path)) as container:
        assert not container.streams.audio
        with pytest.raises(IndexError):
            list(container.demux(container.streams.video[0]))
    assert len(read(path, threads=1)[0]) == 132
