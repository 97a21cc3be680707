"""What other programs write and ours does not: joined pictures, jumping clocks, crops, stretched pixels."""

from __future__ import annotations

import io
import itertools
import logging
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, VideoWriter, probe, read_clip
from sweettok_cli.video.cropping import Cropping, container_cropping
from sweettok_cli.video.decoding import Clock
from tests.video import torture


def read(path: Path, threads: int = 0) -> tuple[list[np.ndarray], list[Fraction]]:
    with VideoReader(path, threads=threads) as reader:
        frames = list(reader)
    return [frame.rgb for frame in frames], [frame.time for frame in frames]


def joined(path: Path, kind: str, count: int = 6, **options: Any) -> Path:
    parts = []
    for index in range(count):
        packed = io.BytesIO()
        Image.fromarray(torture.picture(index)).save(packed, kind, **options)
        parts.append(packed.getvalue())
    path.write_bytes(b"".join(parts))
    return path


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


def transparent() -> Image.Image:
    """A red square on nothing."""
    rgba = np.zeros((64, 96, 4), np.uint8)
    rgba[16:48, 32:64] = (255, 0, 0, 255)
    return Image.fromarray(rgba, "RGBA")


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.avif", "a.jp2", "a.qoi", "a.tga", "a.tif"])
def test_transparent_parts_of_every_kind_are_white(tmp_path: Path, name: str) -> None:
    options = {"a.webp": {"lossless": True}, "a.avif": {"quality": 100}}.get(name, {})
    transparent().save(tmp_path / name, **options)  # type: ignore[arg-type]
    assert probe(tmp_path / name).is_image
    for rgb in (read(tmp_path / name)[0][0], read_clip(tmp_path / name, 0, 1)[0]):
        assert np.abs(rgb[4, 4].astype(int) - 255).max() <= 2
        assert np.abs(rgb[32, 48].astype(int) - (255, 0, 0)).max() <= 4


def test_members_of_shards_are_read_as_files_are(tmp_path: Path) -> None:
    packed = io.BytesIO()
    transparent().save(packed, "PNG")
    assert read_clip(packed, 0, 1)[0, 0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.mov", "qtrle", "argb"), ("a.webm", "libvpx-vp9", "yuva420p"), ("b.webm", "libvpx", "yuva420p")],
)
def test_what_is_transparent_in_a_video_is_white_too(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    options = {} if codec == "qtrle" else {"auto-alt-ref": "0", "cpu-used": "8"}
    with av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for tick in range(3):
            frame = av.VideoFrame.from_ndarray(np.asarray(transparent()), format="rgba")
            frame = frame.reformat(format=pixels)
            frame.pts = tick
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert probe(tmp_path / name).stored.alpha
    for rgb in (*read(tmp_path / name)[0], *read_clip(tmp_path / name, 1, 2)):
        assert rgb[4, 4].tolist() == [255, 255, 255]
        assert np.abs(rgb[32, 48].astype(int) - (255, 0, 0)).max() <= 2


def test_what_is_transparent_in_an_animated_avif_is_white_too(tmp_path: Path) -> None:
    moving = [transparent().rotate(angle) for angle in (0, 180, 0)]
    moving[0].save(tmp_path / "a.avif", save_all=True, append_images=moving[1:], duration=40, quality=100)
    frames, times = read(tmp_path / "a.avif")
    assert times == [0, Fraction(1, 25), Fraction(2, 25)] and not probe(tmp_path / "a.avif").is_image
    assert all(np.abs(rgb[4, 4].astype(int) - 255).max() <= 2 for rgb in frames)


def test_one_grey_of_sixteen_bits_may_be_transparent(tmp_path: Path) -> None:
    deep = np.full((8, 8), 40_000, np.uint16)
    deep[:4] = 257
    Image.fromarray(deep).save(tmp_path / "a.png", transparency=257)
    assert probe(tmp_path / "a.png").stored.alpha
    assert read(tmp_path / "a.png")[0][0][:, 0, 0].tolist() == [255] * 4 + [156] * 4


def test_only_what_shows_through_is_called_transparent(tmp_path: Path) -> None:
    """Not what could: every GIF has a way to say so, so have screenshots; in Lab, A is a colour."""
    opaque = Image.fromarray(torture.picture(0))
    opaque.convert("RGBA").save(tmp_path / "a.png")
    torture.make(tmp_path / "a.gif", "gif", pixels="rgb8")
    lab = Image.fromarray(
        np.dstack([torture.picture(0)[..., :1], np.full((48, 64, 2), 128, np.uint8)]), "LAB"
    )
    lab.save(tmp_path / "a.tif")
    assert not any(probe(tmp_path / name).stored.alpha for name in ("a.png", "a.gif", "a.tif"))
    transparent().save(tmp_path / "b.png")
    transparent().save(tmp_path / "b.gif")
    assert all(probe(tmp_path / name).stored.alpha for name in ("b.png", "b.gif"))


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


def damaged(path: Path) -> Path:
    """Three packets of an MP4 without meaning."""
    torture.make(path, frames=40, options={"g": "10", "bf": "2"})
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        places = [(packet.pos, packet.size) for packet in packets]
    data = bytearray(path.read_bytes())
    for number in (7, 18, 33):
        at, size = places[number]
        data[at : at + size] = b"\xff" * size
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("threads", [2, 3, 8, 16])
def test_what_is_lost_to_damage_does_not_depend_on_the_machine(tmp_path: Path, threads: int) -> None:
    path = damaged(tmp_path / "damaged.mp4")
    alone, many = read(path, threads=1), read(path, threads=threads)
    assert 20 < len(alone[0]) < 40
    assert alone[1] == many[1] and all(map(np.array_equal, alone[0], many[0]))
    assert np.array_equal(read_clip(path, 0, 40, threads=threads), np.stack(alone[0]))


def scribbled(path: Path, codec: str, options: dict[str, str], first: int = 30) -> Path:
    """Bytes inside of three packets of 30, over which decoders do not stumble but guess."""
    pixels = "rgb24" if codec == "png" else "yuv420p"
    torture.make(path, codec, frames=30, size=(128, 96), options=options, pixels=pixels)
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos]
    data, random = bytearray(path.read_bytes()), np.random.default_rng(101)
    for number in (5, 13, 22):
        at, size = places[number]
        at += int(random.integers(first, max(first + 1, min(size, 180))))
        data[at : at + 8] = random.bytes(8)
    path.write_bytes(data)
    return path


GUESSING: dict[str, tuple[str, dict[str, str]]] = {
    "mpeg2.ts": ("mpeg2video", {"g": "20"}),
    "h264.ts": ("libx264", {"g": "20"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=0:keyint=10"}),
    "vp8.webm": ("libvpx", {"cpu-used": "8", "g": "20"}),
    "vp9.webm": ("libvpx-vp9", {"cpu-used": "8", "g": "20"}),
    "ffv1.avi": ("ffv1", {"g": "5", "level": "1"}),
    "png.avi": ("png", {}),
}


@pytest.mark.parametrize("name", GUESSING)
def test_what_is_made_up_for_damage_does_not_depend_on_the_machine(tmp_path: Path, name: str) -> None:
    path = scribbled(tmp_path / name, *GUESSING[name])
    with VideoReader(path, threads=1) as reader:
        alone = list(reader)
    for threads in (3, 5, 16):
        with VideoReader(path, threads=threads) as other:
            many = list(other)
        assert [frame.time for frame in alone] == [frame.time for frame in many]
        assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(alone, many, strict=True))
        assert reader.loss == other.loss


@pytest.mark.parametrize("threads", [1, 4])
def test_frames_that_are_passed_over_without_an_error_are_told(tmp_path: Path, threads: int) -> None:
    options = {"x265-params": "log-level=0:bframes=0:keyint=12:min-keyint=12:scenecut=0"}
    path = torture.make(tmp_path / "a.mp4", "libx265", frames=30, options=options)
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][11]
    data = bytearray(path.read_bytes())
    data[place + 4] = 41 << 1  # of a kind that decoders skip (ITU-T H.265, table 7-1)
    path.write_bytes(data)
    with VideoReader(path, threads=threads) as reader:
        assert len(list(reader)) == 29
    assert reader.loss.words == "only 29 of 30 frames could be read" and reader.loss.frames == 1


def test_thumbnails_in_the_head_of_a_photo_are_no_frames(tmp_path: Path) -> None:
    photo, small = io.BytesIO(), io.BytesIO()
    Image.fromarray(torture.picture(6)).save(photo, "JPEG", quality=95)
    Image.fromarray(torture.picture(2, 16, 16)).save(small, "JPEG")
    inside = b"Exif\0\0" + small.getvalue() * 2
    marker = b"\xff\xe1" + (2 + len(inside)).to_bytes(2, "big") + inside
    (tmp_path / "a.jpg").write_bytes(photo.getvalue()[:2] + marker + photo.getvalue()[2:])
    assert probe(tmp_path / "a.jpg").is_image
    assert [torture.number(rgb) for rgb in read(tmp_path / "a.jpg")[0]] == [6]


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


@pytest.mark.parametrize("ratio", [Fraction(64, 45), Fraction(16, 11), Fraction(8, 9)])
def test_stretched_pixels_come_back_stretched(tmp_path: Path, ratio: Fraction) -> None:
    path = torture.make(tmp_path / "dvd.mp4", aspect=ratio)
    info = probe(path)
    assert (info.sample_aspect_ratio, info.width, info.height) == (ratio, 64, 48)
    with VideoWriter(tmp_path / "a.mp4", 64, 48, info.rate, sample_aspect_ratio=ratio) as writer:
        for rgb in read(path)[0]:
            writer.write(rgb)
    assert probe(tmp_path / "a.mp4").sample_aspect_ratio == ratio
    assert probe(torture.turn(path, (0, 1, -1, 0))).sample_aspect_ratio == 1 / ratio


def box(kind: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", 8 + len(inside)) + kind + inside


def replaced(inside: bytes, way: tuple[bytes, ...], new: bytes) -> bytes:
    """``new`` for the box at the end of the ``way`` through an MP4."""
    at = inside.index(way[0]) - 4
    size = int.from_bytes(inside[at : at + 4], "big")
    body = inside[at + 8 : at + size]
    made = box(way[0], replaced(body, way[1:], new)) if way[1:] else new
    return inside[:at] + made + inside[at + size :]


def with_clean_aperture(path: Path, width: int, height: int, right: int, down: int) -> Path:
    """Add a ``clap`` box to the sample entry of an MP4 whose index comes last."""
    data = path.read_bytes()
    clap = box(b"clap", struct.pack(">8i", width, 1, height, 1, right, 2, down, 2))
    way = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")
    at = data.index(b"avc1", data.index(b"moov")) - 4
    entry = data[at + 8 : at + int.from_bytes(data[at : at + 4], "big")]
    path.write_bytes(replaced(data, way, box(b"avc1", entry + clap)))
    return path


def test_the_clean_aperture_of_an_mp4_is_what_is_shown(tmp_path: Path) -> None:
    path = torture.make(tmp_path / "a.mp4", size=(96, 64))
    whole = read(path)[0][0]
    with_clean_aperture(path, 80, 40, -8, 4)
    info = probe(path)
    assert (info.width, info.height) == (80, 40)
    # Half of 96 - 80, less 4 to the left; half of 64 - 40, 2 further down.
    assert np.array_equal(read(path)[0][0], whole[14:54, 4:84])
    assert np.array_equal(read_clip(path, 0, 1)[0], whole[14:54, 4:84])
    turned = probe(torture.turn(path, (0, 1, -1, 0)))
    assert (turned.width, turned.height) == (40, 80)


def element(kind: bytes, inside: bytes) -> bytes:
    return kind + (len(inside) | 1 << 28).to_bytes(4, "big") + inside


def test_matroska_states_its_cropping() -> None:
    crop = b"".join(
        element(bytes.fromhex(kind), bytes([value]))
        for kind, value in {"54bb": 2, "54aa": 6, "54cc": 12, "54dd": 4}.items()
    )
    tracks = element(bytes.fromhex("1654ae6b"), element(b"\xae", element(b"\xe0", crop)))
    head = element(bytes.fromhex("1a45dfa3"), b"\x42\x86\x81\x01")
    for segment in (
        element(bytes.fromhex("18538067"), tracks),
        b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + tracks,
    ):
        assert container_cropping(io.BytesIO(head + segment), 96, 64) == Cropping(2, 6, 12, 4)
    assert container_cropping(io.BytesIO(head + segment), 16, 64) == Cropping()  # nothing would be left
    for length in range(len(head + segment)):
        container_cropping(io.BytesIO((head + segment)[:length]), 96, 64)  # never raises


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


def edited(path: Path, *edits: tuple[float, float | None]) -> Path:
    """Replace the only edit of an MP4 by others: seconds that are shown, from when on; None for nothing."""
    data = path.read_bytes()
    clock, track_clock = (
        struct.unpack(">I", data[data.index(kind) + 16 : data.index(kind) + 20])[0]
        for kind in (b"mvhd", b"mdhd")
    )
    entries = [
        struct.pack(
            ">IiI", round(shown * clock), -1 if start is None else round(start * track_clock), 1 << 16
        )
        for shown, start in edits
    ]
    new = box(b"elst", struct.pack(">II", 0, len(edits)) + b"".join(entries))
    path.write_bytes(replaced(data, (b"moov", b"trak", b"edts", b"elst"), new))
    return path


@pytest.mark.parametrize(
    "edits", [[(0.6, 0.4)], [(0.4, None), (0.6, 0.4)], [(0.2, 0), (0.4, 0.6)], [(0.6, 0)]]
)
def test_what_an_edit_list_trims_is_not_called_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, edits: list[tuple[float, float | None]]
) -> None:
    path = edited(torture.make(tmp_path / "a.mp4", frames=25, options={"bf": "0", "g": "1"}), *edits)
    with caplog.at_level(logging.WARNING):
        frames, times = read(path)
    assert 14 <= len(frames) <= 16 and times[-1] == Fraction(len(frames) - 1, 25)
    assert not caplog.text


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
