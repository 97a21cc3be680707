"""Videos, pictures and sounds of every kind, damaged as bytes and in the parts that formats are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np
from PIL import Image
from small_models import SAVE
from video.torture import audio_only, make, picture, song_with_cover, tone, turn

from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import write_tokens
from sweettok_cli.video import VideoInfo, VideoReader, probe, read_clip
from sweettok_cli.zoo.load import load

from .media_parts import changed_media
from .mutation import displaced
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


def _two(path: Path) -> None:
    """Two videos of different sizes behind a sound."""
    with av.open(str(path), "w") as out:
        voice = out.add_stream("aac", rate=48000, layout="mono")
        streams = [out.add_stream("mpeg4", rate=rate) for rate in (25, 10)]
        for stream, (width, height) in zip(streams, ((64, 48), (96, 32)), strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for stream in streams:
            for number in range(6):
                pixels = picture(number, stream.width, stream.height)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            out.mux(stream.encode(None))
        tone(out, voice, Fraction(0), 0.5)


def _twice(path: Path) -> None:
    """A broadcast that changes its size and its clock."""
    other = path.with_name("other.ts")
    first, second = (
        make(place, "mpeg2video", frames=6, size=size, kind="mpegts", sound=("mp2", Fraction(0)))
        for place, size in ((path, (64, 48)), (other, (96, 64)))
    )
    path.write_bytes(first.read_bytes() + second.read_bytes())
    other.unlink()


def _array(path: Path, pixels: np.ndarray, **options: Any) -> None:
    Image.fromarray(pixels).save(path, **options)


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
    "two.mkv": _two,
    "twice.ts": _twice,
    "turned.mp4": lambda p: turn(make(p, options=_FAST, aspect=Fraction(5, 3)), (0, 1, -1, 0)),
    "varying.mp4": lambda p: make(p, options=_FAST, pts=[0, 1, 2, 90, 91, 5000], clock=Fraction(1, 1000)),
    "early.mkv": lambda p: make(p, pts=range(-5, 7), container={"avoid_negative_ts": "disabled"}),
    "deep.mp4": lambda p: make(p, options=_FAST, pixels="yuv422p10le", size=(62, 46)),
    "clear.mov": lambda p: make(p, "prores_ks", frames=3, pixels="yuva444p10le"),
    "grey.mkv": lambda p: make(p, "ffv1", frames=3, pixels="gray", size=(61, 47)),
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
    "dot.png": lambda p: _array(p, np.zeros((1, 1), np.uint8)),
    "line.png": lambda p: _array(p, np.zeros((1, 3000, 4), np.uint8)),
    "deep.png": lambda p: _array(p, np.arange(3000, dtype=np.uint16).reshape(50, 60)),
    "palette.png": lambda p: Image.fromarray(picture(1)).quantize(7).save(p, transparency=3),
    "print.jpg": lambda p: Image.fromarray(picture(1)).convert("CMYK").save(p),
    "measured.tiff": lambda p: _array(p, np.full((40, 50), np.nan, np.float32)),
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
    data = changed_media(seeds.files[name], random, list(seeds.files.values()))
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
        out = folder / f"sound{random.choice(('.mp4', '.mov', '.webm'))}"
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
