"""Makes the files that break video readers: odd sizes, rotation, odd clocks, damage.

Every frame carries its own number: the upper half is grey level ``level(i)``, the lower half colour bars that
do not move. ``number(rgb)`` reads it back, through any lossy codec.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from sweettok_cli.video import VideoReader

BARS = ((191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191))
FRAMES = 12


def level(number: int) -> int:
    return 20 + (number % 30) * 7


def picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 2] = level(number)
    columns = np.minimum(np.arange(width) * len(BARS) // width, len(BARS) - 1)
    rgb[height // 2 :] = np.array(BARS, np.uint8)[columns]
    return rgb


def number(rgb: np.ndarray) -> int:
    """The number of a frame, modulo 30, from its upper half; the middle, which edges do not reach."""
    height, width = rgb.shape[:2]
    if height < 8:
        return round((float(rgb[: height // 2].mean()) - 20) / 7)
    grey = float(rgb[height // 8 : height * 3 // 8, width // 4 : width * 3 // 4].mean())
    return round((grey - 20) / 7)


def make(
    path: Path,
    codec: str = "libx264",
    *,
    frames: int = FRAMES,
    size: tuple[int, int] = (64, 48),
    rate: Fraction | int = 25,
    pixels: str = "yuv420p",
    pts: Iterable[int] | None = None,
    clock: Fraction | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    kind: str | None = None,
    aspect: Fraction | None = None,
    sound: tuple[str, Fraction] | None = None,
) -> Path:
    """Write a video; ``sound`` names an audio codec and when it starts, in seconds."""
    width, height = size
    with av.open(str(path), "w", format=kind, options=container or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.time_base = clock or 1 / Fraction(rate)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        voice = None
        if sound is not None:
            voice = out.add_stream(sound[0], rate=48000, layout="mono")
        full = 2 if pixels.startswith(("yuvj", "gray", "rgb", "bgr")) else 1
        ticks = list(pts) if pts is not None else list(range(frames))
        for index, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            frame = VideoReformatter().reformat(
                frame,
                format=pixels,
                src_colorspace=1,
                dst_colorspace=5,
                src_color_range=2,
                dst_color_range=full,
            )
            frame.pts, frame.time_base = tick, stream.codec_context.time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if voice is not None and sound is not None:
            tone(out, voice, sound[1], seconds=max(1.0, len(ticks) / float(rate)))
    return path


def high_dynamic_range(path: Path, curve: str = "smpte2084", **wanted: Any) -> Path:
    """10 bits, BT.2020, by x264: the first such stream of x265 in a process may lack its heads."""
    tags = f"colorprim=bt2020:transfer={curve}:colormatrix=bt2020nc"
    return make(path, "libx264", pixels="yuv420p10le", options={"x264-params": tags}, **wanted)


def tone(out: av.container.OutputContainer, stream: av.AudioStream, start: Fraction, seconds: float) -> None:
    """A 440 Hz sine."""
    samples = np.sin(np.arange(int(48000 * seconds)) * 2 * np.pi * 440 / 48000).astype(np.float32)[None] * 0.5
    step = 960
    for at in range(0, samples.shape[1], step):
        frame = av.AudioFrame.from_ndarray(samples[:, at : at + step], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, at + int(start * 48000), Fraction(1, 48000)
        resampled = av.AudioResampler(stream.format.name, stream.layout.name, stream.rate).resample(frame)
        for piece in resampled:
            out.mux(stream.encode(piece))
    out.mux(stream.encode(None))


def audio_only(path: Path, codec: str = "aac") -> Path:
    with av.open(str(path), "w") as out:
        tone(out, out.add_stream(codec, rate=48000, layout="mono"), Fraction(0), 1.0)
    return path


def song_with_cover(path: Path) -> Path:
    """An MP3 with a PNG in its ID3v2.3 tag."""
    audio_only(path, "libmp3lame")
    cover = io.BytesIO()
    Image.fromarray(picture(0)).save(cover, "PNG")
    body = b"\0image/png\0\x03\0" + cover.getvalue()
    tag = b"APIC" + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = bytes((len(tag) >> shift) & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + tag + path.read_bytes())
    return path


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Set a, b, c, d of the display matrix in an MP4's track header (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def cut_short(path: Path, keep: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def scribble(path: Path, where: float, count: int = 40) -> Path:
    """Overwrite bytes in the middle, as a bad disk does."""
    data = bytearray(path.read_bytes())
    at = int(len(data) * where)
    data[at : at + count] = b"\xff" * count
    path.write_bytes(data)
    return path


def _images(path: Path, **options: object) -> Path:
    first, *rest = [Image.fromarray(picture(i)) for i in range(FRAMES)]
    first.save(path, save_all=True, append_images=rest, duration=40, **options)
    return path


def _resized(path: Path) -> Path:
    """Two raw H.264 streams of different size, one after the other."""
    second = path.with_name("second.h264")
    make(path, frames=6, container={}, kind="h264")
    make(second, frames=6, size=(96, 64), kind="h264")
    path.write_bytes(path.read_bytes() + second.read_bytes())
    second.unlink()
    return path


VFR = (0, 1, 2, 5, 6, 9, 10, 11, 17, 18, 20, 21)
_MS = Fraction(1, 1000)
_CLOCK = Fraction(1001, 30000)

SHARP = {"flags": "+qscale", "global_quality": "118", "qmin": "1", "qmax": "2"}

READABLE: dict[str, Callable[[Path], Path]] = {
    "plain.mp4": lambda p: make(p),
    "ntsc.mp4": lambda p: make(p, rate=Fraction(30000, 1001)),
    "film.mkv": lambda p: make(p, rate=Fraction(24000, 1001)),
    "mpeg4.avi": lambda p: make(p, "mpeg4", options=SHARP),
    "bframes.avi": lambda p: make(p, options={"bf": "2"}),
    "mjpeg.mov": lambda p: make(p, "mjpeg", pixels="yuvj420p"),
    "prores.mov": lambda p: make(p, "prores_ks", pixels="yuv422p10le"),
    "vp9.webm": lambda p: make(p, "libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}),
    "ffv1.mkv": lambda p: make(p, "ffv1", pixels="yuv444p"),
    "palette.gif": lambda p: _images(p),
    "animated.webp": lambda p: _images(p, lossless=True),
    "animated.png": lambda p: _images(p),
    "odd.mkv": lambda p: make(p, "ffv1", size=(61, 47)),
    "odd.mp4": lambda p: make(p, size=(61, 47), pixels="yuv444p"),
    "tiny.mkv": lambda p: make(p, "ffv1", size=(2, 2)),
    "ten.mp4": lambda p: make(p, pixels="yuv420p10le"),
    "grey.mkv": lambda p: make(p, "ffv1", pixels="gray"),
    "rgb.mkv": lambda p: make(p, "ffv1", pixels="bgr0"),
    "one.mp4": lambda p: make(p, frames=1),
    "one.gif": lambda p: make(p, "gif", frames=1, pixels="rgb8"),
    "variable.mp4": lambda p: make(p, pts=[t * 1001 for t in VFR], clock=Fraction(1, 30000)),
    "variable.mkv": lambda p: make(p, pts=[t * 40 for t in VFR], clock=_MS),
    "live.webm": lambda p: make(p, "libvpx-vp9", options={"cpu-used": "8"}, container={"live": "1"}),
    "raw.h264": lambda p: make(p, kind="h264"),
    "resized.h264": _resized,
    "late.mkv": lambda p: make(p, pts=range(10, 22), sound=("aac", Fraction(0))),
    "late.mp4": lambda p: make(p, pts=range(10, 22), sound=("aac", Fraction(0))),
    "early.mkv": lambda p: make(
        p, pts=range(-5, 7), options={"bf": "0"}, container={"avoid_negative_ts": "disabled"}
    ),
    "broadcast.ts": lambda p: make(p, kind="mpegts", sound=("aac", Fraction(0))),
    "wide.mp4": lambda p: make(p, aspect=Fraction(2, 1)),
}


def build(folder: Path, name: str) -> Path:
    return READABLE[name](folder / name)


def read(path: Path, threads: int = 0) -> tuple[list[np.ndarray], list[Fraction]]:
    """The frames of a file, and their times."""
    with VideoReader(path, threads=threads) as reader:
        frames = list(reader)
    return [frame.rgb for frame in frames], [frame.time for frame in frames]


def joined(path: Path, kind: str, count: int = 6, **options: Any) -> Path:
    """Pictures, of a kind that Pillow writes, one behind the other."""
    parts = []
    for index in range(count):
        packed = io.BytesIO()
        Image.fromarray(picture(index)).save(packed, kind, **options)
        parts.append(packed.getvalue())
    path.write_bytes(b"".join(parts))
    return path
