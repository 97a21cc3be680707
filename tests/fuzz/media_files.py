"""Videos, pictures and sounds of every kind, damaged as bytes and in the parts that formats are made of."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np
from PIL import Image
from small_models import SAVE
from video.torture import audio_only, make, picture, song_with_cover

from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import write_tokens
from sweettok_cli.video import VideoInfo, VideoReader, probe, read_clip
from sweettok_cli.zoo.load import load

from .mutation import NUMBERS, damaged, displaced
from .verdict import NAME, ODD, Verdict

_MOST_FRAMES = 100  # that are read here
_MOST_PIXELS = 1 << 22  # in all of them
_FAST = {"preset": "ultrafast"}
_VP9 = {"cpu-used": "8", "deadline": "realtime"}


@dataclass(frozen=True)
class Seeds:
    """Whole files by name, a small model's folder, and a token file of it."""

    files: dict[str, bytes]
    model: Path
    tokens: Path


def _pictures(path: Path, frames: int = 1, **options: Any) -> None:
    first, *rest = [Image.fromarray(picture(number)) for number in range(frames)]
    more = {"save_all": True, "append_images": rest, "duration": 40} if rest else {}
    first.save(path, **more, **options)


def _heif(path: Path) -> None:
    import pillow_heif

    pillow_heif.from_pillow(Image.fromarray(picture(3))).save(path)


def _clear(path: Path) -> None:
    Image.fromarray(np.dstack([picture(2), picture(5)[..., 0]])).save(path)


def _turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(4)).save(path, exif=exif)


_MAKE: dict[str, Callable[[Path], Any]] = {
    "h264.mp4": lambda p: make(p, sound=("aac", 0), options=_FAST),
    "pieces.mp4": lambda p: make(
        p, sound=("aac", 0), options=_FAST, container={"movflags": "frag_keyframe+empty_moov"}
    ),
    "mjpeg.mov": lambda p: make(p, "mjpeg", pixels="yuvj420p", sound=("pcm_s16le", 0)),
    "h264.mkv": lambda p: make(p, sound=("libopus", 0), options={"preset": "ultrafast", "bf": "2"}),
    "vp9.webm": lambda p: make(p, "libvpx-vp9", options=_VP9, sound=("libopus", 0)),
    "vp8.webm": lambda p: make(p, "libvpx", options=_VP9),
    "ffv1.mkv": lambda p: make(p, "ffv1", frames=4, pixels="yuv444p"),
    "broadcast.ts": lambda p: make(p, kind="mpegts", sound=("aac", 0), options=_FAST),
    "mpeg2.mpg": lambda p: make(p, "mpeg2video", kind="mpeg", sound=("mp2", 0)),
    "mpeg4.avi": lambda p: make(p, "mpeg4", sound=("libmp3lame", 0)),
    "flash.flv": lambda p: make(p, "flv1", sound=("libmp3lame", 0)),
    "windows.wmv": lambda p: make(p, "wmv2", kind="asf"),
    "raw.h264": lambda p: make(p, kind="h264", options=_FAST),
    "hevc.mp4": lambda p: make(
        p, "libx265", options={"preset": "ultrafast", "x265-params": "log-level=none"}
    ),
    "raw.y4m": lambda p: make(p, "wrapped_avframe", frames=3, kind="yuv4mpegpipe"),
    "raw.mjpeg": lambda p: make(p, "mjpeg", kind="mjpeg", pixels="yuvj420p"),
    "film.gif": lambda p: _pictures(p, 6),
    "film.png": lambda p: _pictures(p, 4),
    "film.webp": lambda p: _pictures(p, 4),
    "still.png": _clear,
    "still.jpg": _turned,
    "still.webp": lambda p: _pictures(p, lossless=True),
    "still.avif": lambda p: _pictures(p),
    "still.heic": _heif,
    "still.tiff": lambda p: _pictures(p, compression="tiff_lzw"),
    "pages.tiff": lambda p: _pictures(p, 3),
    "still.bmp": lambda p: _pictures(p),
    "still.ppm": lambda p: _pictures(p),
    "still.tga": lambda p: _pictures(p, compression="tga_rle"),
    "still.jp2": lambda p: _pictures(p),
    "sound.wav": lambda p: audio_only(p, "pcm_s16le"),
    "sound.aac": lambda p: audio_only(p),
    "sound.flac": lambda p: audio_only(p, "flac"),
    "sound.ogg": lambda p: audio_only(p, "libopus"),
    "cover.mp3": song_with_cover,
}


def make_seeds(shelf: Path) -> Seeds:
    """One file of each kind that the media library here can write."""
    files: dict[str, bytes] = {}
    for name, write in _MAKE.items():
        try:
            write(shelf / name)
        except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, OSError, ImportError, ValueError):
            continue  # built without this encoder
        files[name] = (shelf / name).read_bytes()
    SAVE["omnitokenizer"](shelf / "model")
    tokens = shelf / "tokens.npz"
    write_tokens(tokens, encode_video(shelf / "h264.mp4", load(str(shelf / "model"), "cpu")))
    return Seeds(files, shelf / "model", tokens)


def attempt(seeds: Seeds, random: Random, folder: Path) -> list[str]:
    """Look at one media file, read all its frames and some of its middle, encode it, copy its sound."""
    name = random.choice(list(seeds.files))
    data = _mutated(seeds.files[name], random, list(seeds.files.values()))
    ending = Path(random.choice(list(seeds.files)) if random.random() < 0.05 else name).suffix
    path = folder / f"{random.choice(ODD) if random.random() < 0.1 else ''}{NAME}{ending}"
    path.write_bytes(data)
    if random.random() < 0.01:
        displaced(path, random)
    verdict = Verdict()
    told = verdict.command("info", path, *random.choice(([], ["--json"])))
    info = verdict.call(f"probe {path}", lambda: probe(path))
    verdict.holds((told is None) == (info is None), f"info and probe of {path} differ")
    if info is not None:
        frames = verdict.call(f"read {path}", lambda: _read(path, info, verdict))
        small = info.width * info.height <= 160 * 128 and frames is not None and frames < _MOST_FRAMES
        if frames:
            start = random.randrange(frames)
            some = verdict.call(f"read {path} from {start}", lambda: read_clip(path, start, 3, size=(32, 24)))
            verdict.holds(some is None or some.shape[1:] == (24, 32, 3), "a clip of another size")
        if small and random.random() < 0.3:
            _encode(verdict, path, seeds.model, info)
    if random.random() < 0.3:
        out = folder / "sound.mp4"
        verdict.command("decode", seeds.tokens, "--model", seeds.model, "-o", out, "--audio-from", path)
        out.unlink(missing_ok=True)
    verdict.left(folder, path)
    return verdict.faults


def _read(path: Path, info: VideoInfo, verdict: Verdict) -> int:
    """How many frames there are, of the first ones; each must be as the header was understood."""
    count, last = 0, None
    most = min(_MOST_FRAMES, max(2, _MOST_PIXELS // (info.width * info.height)))
    with VideoReader(path, threads=1) as reader:
        for frame in islice(reader, most):
            size = (info.height, info.width, 3)
            verdict.holds(frame.rgb.shape == size, f"a frame of {frame.rgb.shape}, not {size}")
            verdict.holds(last is None or frame.time > last, f"times go from {last} to {frame.time}")
            count, last = count + 1, frame.time
    return count


def _encode(verdict: Verdict, path: Path, model: Path, info: VideoInfo) -> None:
    tokens = path.with_name("tokens.npz")
    if verdict.command("encode", path, "--model", model, "-o", tokens) is None:
        return
    told = verdict.command("info", tokens, "--json")
    if told is not None:
        found = json.loads(told)
        sides = (found["width"], found["height"], found["image"])
        verdict.holds(sides == (info.width, info.height, info.is_image), f"encoded as {sides}: {info}")
    back = path.with_name("back.png" if info.is_image else "back.mp4")
    done = verdict.command("decode", tokens, "--model", model, "-o", back)
    # What was encoded from a file can be decoded, whatever clock the file had.
    verdict.holds(done is not None, f"what was encoded from {path} does not decode: {info}")
    tokens.unlink(missing_ok=True)
    back.unlink(missing_ok=True)


def _mutated(data: bytes, random: Random, others: list[bytes]) -> bytes:
    parts = next((split(data) for mark, split in _SPLITTERS if data[mark[0] :].startswith(mark[1])), None)
    if parts is None or random.random() < 0.5:
        return damaged(data, random, others)
    places = [list(span) for span in parts]
    at = random.randrange(len(places))
    begin, end = places[at]
    part = data[begin:end]
    what = random.random()
    if what < 0.2:
        return data[:begin] + data[end:]
    if what < 0.4:
        return data[:end] + part * random.choice((1, 2, 50)) + data[end:]
    if what < 0.6:
        to, _ = random.choice(places)
        rest = data[:begin] + data[end:]
        return rest[:to] + part + rest[to:]
    inner = bytearray(part)
    for _ in range(random.choice((1, 1, 2))):
        # Numbers lie behind the size and the name of a part.
        place = random.randrange(min(len(inner), 64)) if inner else 0
        size = random.choice((1, 2, 4, 8))
        value = random.choice(NUMBERS) & ((1 << 8 * size) - 1)
        inner[place : place + size] = value.to_bytes(size, random.choice(("big", "little")))
    if data.startswith(b"\x89PNG"):
        inner[-4:] = struct.pack(">I", zlib.crc32(bytes(inner[4:-4])))
    return data[:begin] + bytes(inner) + data[end:]


_CONTAINERS = (
    *(b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"moof", b"traf", b"edts", b"dinf", b"mvex"),
    *(b"meta", b"iprp", b"ipco"),
)


def _boxes(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Boxes of MP4, MOV, HEIC and AVIF, the inner ones too."""
    end = len(data) if end is None else end
    while begin + 8 <= end:
        size = int.from_bytes(data[begin : begin + 4], "big")
        if not 8 <= size <= end - begin:
            return
        yield begin, begin + size
        kind = data[begin + 4 : begin + 8]
        if kind in _CONTAINERS:
            yield from _boxes(data, begin + (12 if kind == b"meta" else 8), begin + size)
        begin += size


def _riff(data: bytes, begin: int = 12, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Chunks of AVI, WebP and WAV."""
    end = len(data) if end is None else end
    while begin + 8 <= end:
        size = 8 + int.from_bytes(data[begin + 4 : begin + 8], "little")
        if size > end - begin:
            return
        yield begin, begin + size
        if data[begin : begin + 4] == b"LIST":
            yield from _riff(data, begin + 12, begin + size)
        begin += size + size % 2


def _png(data: bytes) -> Iterator[tuple[int, int]]:
    begin = 8
    while begin + 12 <= len(data):
        size = 12 + int.from_bytes(data[begin : begin + 4], "big")
        yield begin, begin + size
        begin += size


def _elements(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Elements of Matroska and WebM, the inner ones too."""
    end = len(data) if end is None else end
    while begin + 2 <= end and data[begin]:
        name = 9 - data[begin].bit_length()
        first = data[begin + name] if begin + name < end else 0
        if not first:
            return
        width = 9 - first.bit_length()
        value = int.from_bytes(data[begin + name : begin + name + width], "big") & ((1 << 7 * width) - 1)
        body = begin + name + width
        if value == (1 << 7 * width) - 1:
            value = end - body
        if value > end - body:
            return
        yield begin, body + value
        # Segment, cluster, tracks, track, video, audio, cues, block group.
        if data[begin : begin + name].hex() in {
            *("18538067", "1f43b675", "1654ae6b", "ae", "e0", "e1", "1c53bb6b", "a0", "1549a966"),
        }:
            yield from _elements(data, body, body + value)
        begin = body + value


def _every(size: int) -> Callable[[bytes], Iterator[tuple[int, int]]]:
    return lambda data: ((begin, begin + size) for begin in range(0, len(data) - size + 1, size))


def _marked(mark: bytes) -> Callable[[bytes], Iterator[tuple[int, int]]]:
    """From mark to mark."""

    def split(data: bytes) -> Iterator[tuple[int, int]]:
        begin = data.find(mark)
        while begin >= 0:
            following = data.find(mark, begin + len(mark))
            yield begin, following if following >= 0 else len(data)
            begin = following

    return split


_SPLITTERS: tuple[tuple[tuple[int, bytes], Callable[[bytes], Iterator[tuple[int, int]]]], ...] = (
    ((4, b"ftyp"), lambda data: list(_boxes(data))),
    ((0, b"RIFF"), lambda data: list(_riff(data))),
    ((0, b"\x89PNG"), lambda data: list(_png(data))),
    ((0, b"\x1a\x45\xdf\xa3"), lambda data: list(_elements(data))),
    ((0, b"\x47"), lambda data: list(_every(188)(data))),
    ((0, b"\xff\xd8"), lambda data: list(_marked(b"\xff")(data))),
    ((0, b"GIF8"), lambda data: list(_marked(b"\x21\xf9")(data))),
    ((0, b"\0\0\0\x01"), lambda data: list(_marked(b"\0\0\0\x01")(data))),
    ((0, b"\0\0\x01\xba"), lambda data: list(_marked(b"\0\0\x01")(data))),
    ((0, b"II*\0"), lambda data: list(_every(12)(data))),
    ((0, b"OggS"), lambda data: list(_marked(b"OggS")(data))),
)
